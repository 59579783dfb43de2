// Orders that depend on STRATA_EMULATION_SEED alone.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <utility>
#include <vector>

namespace emulation {

/// SplitMix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t n) { return static_cast<std::uint64_t>((static_cast<Wide>(next()) * n) >> 64); }

  template <class T>
  void shuffle(T* values, std::size_t count) {
    for (std::size_t i = count; i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  __extension__ using Wide = unsigned __int128;
  std::uint64_t state_;
};

inline std::uint64_t seed() {
  const char* const text = std::getenv("STRATA_EMULATION_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
}

}  // namespace emulation
