// What the lanes of a warp do together. Every lane named in the mask must come to the same call with the same mask.
#pragma once
#include <cstdint>
#include <cstring>
#include <type_traits>

void __syncwarp(unsigned int mask = 0xffffffffu);
unsigned int __ballot_sync(unsigned int mask, int predicate);
int __all_sync(unsigned int mask, int predicate);
int __any_sync(unsigned int mask, int predicate);
unsigned int __activemask() = delete;  // its answer is never one to build on
unsigned int __match_any_sync(unsigned int mask, unsigned int value);
unsigned int __reduce_add_sync(unsigned int mask, unsigned int value);
int __reduce_add_sync(unsigned int mask, int value);
unsigned int __reduce_min_sync(unsigned int mask, unsigned int value);
unsigned int __reduce_max_sync(unsigned int mask, unsigned int value);
int __reduce_min_sync(unsigned int mask, int value);
int __reduce_max_sync(unsigned int mask, int value);

namespace emulation {

enum class Shuffle { index, up, down, exclusive };

/// What the lane named by `how` and `operand` gave, as 64 bits.
std::uint64_t shuffle(Shuffle how, unsigned int mask, std::uint64_t value, int operand, int width);

template <class T>
inline T shuffle_value(Shuffle how, unsigned int mask, T value, int operand, int width) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle(how, mask, bits, operand, width);
  std::memcpy(static_cast<void*>(&value), &bits, sizeof(T));
  return value;
}

}  // namespace emulation

#define STRATA_EMULATION_SHUFFLES(T)                                                                        \
  inline T __shfl_sync(unsigned int mask, T value, int lane, int width = 32) {                              \
    return emulation::shuffle_value(emulation::Shuffle::index, mask, value, lane, width);                   \
  }                                                                                                         \
  inline T __shfl_up_sync(unsigned int mask, T value, unsigned int delta, int width = 32) {                 \
    return emulation::shuffle_value(emulation::Shuffle::up, mask, value, static_cast<int>(delta), width);   \
  }                                                                                                         \
  inline T __shfl_down_sync(unsigned int mask, T value, unsigned int delta, int width = 32) {               \
    return emulation::shuffle_value(emulation::Shuffle::down, mask, value, static_cast<int>(delta), width); \
  }                                                                                                         \
  inline T __shfl_xor_sync(unsigned int mask, T value, int lanes, int width = 32) {                         \
    return emulation::shuffle_value(emulation::Shuffle::exclusive, mask, value, lanes, width);              \
  }
STRATA_EMULATION_SHUFFLES(int)
STRATA_EMULATION_SHUFFLES(unsigned int)
STRATA_EMULATION_SHUFFLES(long)
STRATA_EMULATION_SHUFFLES(unsigned long)
STRATA_EMULATION_SHUFFLES(long long)
STRATA_EMULATION_SHUFFLES(unsigned long long)
STRATA_EMULATION_SHUFFLES(float)
STRATA_EMULATION_SHUFFLES(double)
