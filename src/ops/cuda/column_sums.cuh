#pragma once
// Sums over the rows of a matrix of partial sums, in an order that only the number of rows decides.
#include <cuda_runtime.h>

#include <cstdint>

#include "device/cuda/launch.cuh"
#include "ops/cuda/queue.cuh"
#include "strata/device/blas.hpp"

namespace strata::cuda {

constexpr int fold_ways = 16;

/// Where the columns of partial sums go, `width` to each place.
template <class S>
struct FoldPlaces {
  S* of[3];
  std::int64_t width;

  __device__ __forceinline__ S* operator[](std::int64_t j) const { return of[j / width] + j % width; }
};

/// Column j of [rows, columns] to its place. A block takes 32 columns, a warp every 16th row; warps are then added in order.
template <class S>
__global__ void __launch_bounds__(32 * fold_ways)
    fold_kernel(const S* partial, std::int64_t rows, std::int64_t columns, FoldPlaces<S> to, bool add) {
  __shared__ S sums[fold_ways][32];
  const int lane = static_cast<int>(threadIdx.x % 32), way = static_cast<int>(threadIdx.x / 32);
  const std::int64_t j = std::int64_t{blockIdx.x} * 32 + lane;
  S total = 0;
  if (j < columns) {
#pragma unroll 8
    for (std::int64_t r = way; r < rows; r += fold_ways) total += partial[r * columns + j];
  }
  sums[way][lane] = total;
  __syncthreads();
  if (way > 0 || j >= columns) return;
#pragma unroll
  for (int w = 1; w < fold_ways; ++w) total += sums[w][lane];
  *to[j] = add ? *to[j] + total : total;
}

/// out[j] (=|+=) sum over r of partial[r, j].
template <class S>
void fold_partials(Stream& stream, const S* partial, std::int64_t rows, std::int64_t columns, S* out, Write write) {
  if (columns == 0) return;
  launch(fold_kernel<S>, {static_cast<unsigned>((columns + 31) / 32), 32 * fold_ways}, queue_of(stream), partial, rows, columns,
         FoldPlaces<S>{{out}, columns}, write == Write::add);
}
/// The same for partial [rows, 2 H], or [rows, 3 H] with a third, the parts to different places.
template <class S>
void fold_parts(Stream& stream, const S* partial, std::int64_t rows, std::int64_t H, S* first, S* second, S* third, Write write) {
  if (H == 0) return;
  const std::int64_t columns = (third != nullptr ? 3 : 2) * H;
  launch(fold_kernel<S>, {static_cast<unsigned>((columns + 31) / 32), 32 * fold_ways}, queue_of(stream), partial, rows, columns,
         FoldPlaces<S>{{first, second, third}, H}, write == Write::add);
}

}  // namespace strata::cuda
