#pragma once
// Element-wise kernels over flat stretches: elements in groups as wide as alignment allows, loads of several groups before their stores.
#include <cuda_runtime.h>

#include <cstdint>
#include <cstring>
#include <type_traits>

#include "device/cuda/element.cuh"
#include "device/cuda/launch.cuh"
#include "ops/cuda/queue.cuh"

namespace strata::cuda {

constexpr int flat_threads = 256;

/// N elements of T, read and written in words of up to 16 bytes.
template <class T, int N>
struct alignas(sizeof(T) * N % 16 == 0 ? 16 : sizeof(T) * N) Group {
  T of[N];
};
template <int bytes>
using WordOf = std::conditional_t<bytes % 16 == 0, uint4,
                                  std::conditional_t<bytes == 8, uint2, std::conditional_t<bytes == 4, std::uint32_t, std::uint16_t>>>;

template <int N, class T>
__device__ __forceinline__ Group<T, N> load_group(const T* from) {
  if constexpr (N == 1) {
    return {from[0]};
  } else {
    using Word = WordOf<static_cast<int>(sizeof(T)) * N>;
    Group<T, N> group;
#pragma unroll
    for (unsigned i = 0; i < sizeof(group) / sizeof(Word); ++i) {
      const Word word = reinterpret_cast<const Word*>(from)[i];
      memcpy(reinterpret_cast<unsigned char*>(&group) + i * sizeof(Word), &word, sizeof(Word));
    }
    return group;
  }
}
template <int N, class T>
__device__ __forceinline__ void store_group(T* to, const Group<T, N>& group) {
  if constexpr (N == 1) {
    to[0] = group.of[0];
  } else {
    using Word = WordOf<static_cast<int>(sizeof(T)) * N>;
#pragma unroll
    for (unsigned i = 0; i < sizeof(group) / sizeof(Word); ++i) {
      Word word;
      memcpy(&word, reinterpret_cast<const unsigned char*>(&group) + i * sizeof(Word), sizeof(Word));
      reinterpret_cast<Word*>(to)[i] = word;
    }
  }
}
/// Whether groups of N can be read from here.
template <int N, class T>
bool aligned_for(const T* data) {
  return reinterpret_cast<std::uintptr_t>(data) % alignof(Group<T, N>) == 0;
}

/// `work` gives load<N>(i), what elements [i, i + N) need, and store<N>(i, that); Work::at_once groups are loaded before the first is
/// stored, so that enough bytes are under way at full occupancy (about 33 KiB for each multiprocessor of an H200). The last n % N elements
/// are taken one by one.
template <int N, class Work>
__global__ void __launch_bounds__(flat_threads) flat_kernel(std::int64_t n, Work work) {
  const std::int64_t groups = n / N, step = std::int64_t{gridDim.x} * flat_threads;
  const std::int64_t first = blockIdx.x * std::int64_t{flat_threads} + threadIdx.x;
  std::int64_t g = first;
  if constexpr (Work::at_once > 1) {
    for (; g + step < groups; g += 2 * step) {
      const auto a = work.template load<N>(g * N), b = work.template load<N>((g + step) * N);
      work.template store<N>(g * N, a), work.template store<N>((g + step) * N, b);
    }
  }
  for (; g < groups; g += step) work.template store<N>(g * N, work.template load<N>(g * N));
  if constexpr (N > 1)
    if (first < n - groups * N) work.template store<1>(groups * N + first, work.template load<1>(groups * N + first));
}

/// Does `work` on n elements, in groups of N where all of its memory is `aligned`.
template <int N, class Work>
void run_flat(Stream& stream, std::int64_t n, bool aligned, const Work& work) {
  if (n == 0) return;
  if (aligned)
    launch(flat_kernel<N, Work>, {blocks_for(n / N, flat_threads), flat_threads}, queue_of(stream), n, work);
  else
    launch(flat_kernel<1, Work>, {blocks_for(n, flat_threads), flat_threads}, queue_of(stream), n, work);
}

}  // namespace strata::cuda
