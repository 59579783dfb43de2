#pragma once
// What the kernels of attention share: heads in memory, the keys that a query sees, and the words that decide what is dropped.
#include <algorithm>
#include <cmath>

#include "device/cuda/element.cuh"
#include "ops/attention_pass.hpp"
#include "ops/cuda/attention_tensor.hpp"
#include "ops/cuda/dropout_factors.cuh"
#include "strata/tensor/random.hpp"

namespace strata::cuda {

/// A tensor [B,S,heads,hd]: where the row of a batch entry, position and head begins.
template <class T>
struct Heads {
  T* data = nullptr;
  std::int64_t batch = 0, row = 0, head = 0;  // strides [elements]

  __device__ __forceinline__ T* at(std::int64_t b, std::int64_t i, std::int64_t h) const { return data + b * batch + i * row + h * head; }
};

template <class T>
Heads<const T> heads_of(const ConstView& view) {
  return {data_of<T>(view), view.stride(0), view.stride(1), view.stride(2)};
}
template <class T>
Heads<T> heads_of(const View& view) {
  return {data_of<T>(view), view.stride(0), view.stride(1), view.stride(2)};
}

/// Keys [first, end) that a query sees, or those that queries see together.
struct KeyRange {
  int first, end;
};

/// Ranges of several queries: what any of them sees lies in [first, end), what all of them see is [all_first, all_end). 16 bytes.
struct KeyRanges {
  int first, end, all_first, all_end;

  static __device__ __forceinline__ KeyRanges of_nobody() { return {0x7fffffff, 0, 0, 0x7fffffff}; }
  __device__ __forceinline__ void add(KeyRange range) {
    if (range.first < range.end)
      first = min(first, range.first), end = max(end, range.end), all_first = max(all_first, range.first),
      all_end = min(all_end, range.end);
    else
      all_first = 0x7fffffff, all_end = 0;
  }
  __device__ __forceinline__ void add(const KeyRanges& other) {
    first = min(first, other.first), end = max(end, other.end);
    all_first = max(all_first, other.all_first), all_end = min(all_end, other.all_end);
  }
  /// With those of all lanes.
  __device__ __forceinline__ void add_lanes() {
    first = __reduce_min_sync(0xffffffffu, first), end = __reduce_max_sync(0xffffffffu, end);
    all_first = __reduce_max_sync(0xffffffffu, all_first), all_end = __reduce_min_sync(0xffffffffu, all_end);
  }
  __device__ __forceinline__ bool any(int key, int keys) const { return first < key + keys && end > key; }
  __device__ __forceinline__ bool all(int key, int keys) const { return all_first <= key && all_end >= key + keys; }
};

/// Which keys a query sees: causal, those from first_key (0 where not given) up to itself; else those below its sequence's length (all
/// where not given).
struct Sight {
  bool causal;
  int S;
  const int *first_key, *lengths;
  std::int64_t batch;  // between sequences of first_key or lengths [elements]

  __device__ __forceinline__ KeyRange of(std::int64_t b, int i) const {
    if (causal) return {first_key ? max(0, first_key[b * batch + i]) : 0, i + 1};
    return {0, lengths ? min(max(0, lengths[b * batch]), S) : S};
  }
};

inline Sight sight_of(const AttentionMask& mask, std::int64_t S) {
  const int* keys = mask.keys.given() ? data_of<int>(mask.keys) : nullptr;
  return {mask.causal, static_cast<int>(S), mask.causal ? keys : nullptr, mask.causal ? nullptr : keys,
          mask.keys.given() ? mask.keys.stride(0) : 0};
}

/// The numbers that decide what is dropped: as ops/cpu/dropout_factors.hpp, word by word.
struct DropoutWords {
  const int* samples = nullptr;
  const std::uint32_t* step_at = nullptr;  // or null: the step, when the kernel runs
  std::uint32_t key0 = 0, key1 = 0, step = 0, place = 0, threshold = 0;

  /// Counter `counter` of row i of head h: half-word w of the result (lower half first) is that of column (counter / 16) 128 + 16 w +
  /// counter % 16 of the row.
  __device__ __forceinline__ uint4 at(std::int64_t b, int h, int i, int counter) const {
    std::uint32_t x0 = static_cast<std::uint32_t>(samples[b]), x1 = step_at ? *step_at : step,
                  x2 = static_cast<std::uint32_t>(i) << 16 | static_cast<std::uint32_t>(counter),
                  x3 = place + static_cast<std::uint32_t>(h), k0 = key0, k1 = key1;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t u = std::uint64_t{x0} * 0xD2511F53u, v = std::uint64_t{x2} * 0xCD9E8D57u;
      x0 = static_cast<std::uint32_t>(v >> 32) ^ x1 ^ k0, x1 = static_cast<std::uint32_t>(v);
      x2 = static_cast<std::uint32_t>(u >> 32) ^ x3 ^ k1, x3 = static_cast<std::uint32_t>(u);
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    return make_uint4(x0, x1, x2, x3);
  }
  /// Whether element j of row i stays.
  __device__ __forceinline__ bool keeps(std::int64_t b, int h, int i, int j) const {
    const uint4 words = at(b, h, i, j / 128 * 16 + j % 16);
    const int half = j % 128 / 16, number = half / 2;
    const std::uint32_t word = number == 0 ? words.x : number == 1 ? words.y : number == 2 ? words.z : words.w;
    return (half % 2 ? word >> 16 : word & 0xffffu) >= threshold;
  }
};

inline DropoutWords words_of(const Dropout& what) {
  if (!what.drops()) return {};
  return {data_of<int>(what.samples),
          step_place(what),
          static_cast<std::uint32_t>(what.seed),
          static_cast<std::uint32_t>(what.seed >> 32) ^ (static_cast<std::uint32_t>(RandomPurpose::dropout) * 0x9E3779B9u),
          what.step,
          what.site * 4096,
          static_cast<std::uint32_t>(std::min(65535L, std::lround(what.p * 65536)))};
}

/// The factor of what is not dropped.
inline double kept_factor(const Dropout& what) {
  return what.drops() ? 65536.0 / (65536.0 - static_cast<double>(words_of(what).threshold)) : 1.0;
}

/// Draws columns [group 128, + 128) of rows [first, first + rows) of head h: bit j of bits[row] (128 bits, 16 bytes a row) is set where
/// column j stays. By all warps; a barrier belongs before its use.
__device__ __forceinline__ void draw_bits(const DropoutWords& words, std::int64_t b, int h, int first, int rows, int group,
                                          std::uint16_t* bits) {
  const int lane = static_cast<int>(threadIdx.x) % 32, warps = static_cast<int>(blockDim.x) / 32;
  for (int row = static_cast<int>(threadIdx.x) / 32 * 2; row < rows; row += 2 * warps) {
    // Two rows a warp, one counter a lane: each half-word then gives 16 columns of either row by a vote.
    const uint4 drawn = words.at(b, h, first + row + lane / 16, group * 16 + lane % 16);
    const std::uint32_t word[4] = {drawn.x, drawn.y, drawn.z, drawn.w};
    unsigned own = 0;
#pragma unroll
    for (int half = 0; half < 8; ++half) {
      const std::uint32_t piece = half % 2 ? word[half / 2] >> 16 : word[half / 2] & 0xffffu;
      const unsigned votes = __ballot_sync(0xffffffffu, piece >= words.threshold);
      if (lane % 8 == half) own = votes;
    }
    if (lane < 16) bits[(row + lane / 8) * 8 + lane % 8] = static_cast<std::uint16_t>(lane < 8 ? own & 0xffffu : own >> 16);
  }
}

}  // namespace strata::cuda
