#pragma once
// Sums over the rows of a matrix while its packs are read, or made: blocks of rows first, then the blocks' sums in order.
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "device/cuda/element.cuh"
#include "device/cuda/launch.cuh"
#include "ops/cuda/column_sums.cuh"
#include "ops/cuda/linear.hpp"
#include "ops/cuda/queue.cuh"
#include "ops/cuda/rows.cuh"

namespace strata::cuda {

constexpr int row_sum_ways = 8;

/// A block of 8 warps: each lane takes one pack of columns of every 8th row, Work::rows_at_once loads under way at once; then the warps'
/// sums are added in order. `work` gives load<whole>(row, p, columns) of pack p of a row (zeros where columns is 0), and finish<whole>(row,
/// p, columns, that): the pack to be summed, stored by the way where it is new. partial null: no sums are wanted.
template <class T, bool whole, class Work>
__global__ void __launch_bounds__(32 * row_sum_ways)
    row_sum_kernel(Work work, std::int64_t rows, int columns, std::int64_t block_rows, unsigned chunks, SumOf<T>* partial) {
  using S = SumOf<T>;
  constexpr int W = pack_size<T>, ways = row_sum_ways, at_once = Work::rows_at_once;
  __shared__ S sums[ways][W][32];
  const unsigned chunk = blockIdx.x % chunks, block = blockIdx.x / chunks;
  const int lane = static_cast<int>(threadIdx.x % 32), way = static_cast<int>(threadIdx.x / 32), p = static_cast<int>(chunk) * 32 + lane;
  const std::int64_t begin = block * block_rows, end = begin + block_rows < rows ? begin + block_rows : rows;
  S total[W] = {};
  for (std::int64_t r = begin + way; r < end; r += ways * at_once) {
    typename Work::Loaded loaded[at_once];
#pragma unroll
    for (int q = 0; q < at_once; ++q) {
      const bool there = r + q * ways < end;
      loaded[q] = work.template load<whole>(there ? r + q * ways : r, p, there ? columns : 0);
    }
#pragma unroll
    for (int q = 0; q < at_once; ++q) {
      const bool there = r + q * ways < end;
      const Pack<T> pack = work.template finish<whole>(there ? r + q * ways : r, p, there ? columns : 0, loaded[q]);
#pragma unroll
      for (int e = 0; e < W; ++e) total[e] += widen(pack.of[e]);
    }
  }
  if (partial == nullptr) return;
#pragma unroll
  for (int e = 0; e < W; ++e) sums[way][e][lane] = total[e];
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < 32 * W; i += 32 * ways) {
    const std::int64_t j = std::int64_t{chunk} * 32 * W + i;
    if (j >= columns) continue;
    S all = sums[0][i % W][i / W];
#pragma unroll
    for (int w = 1; w < ways; ++w) all += sums[w][i % W][i / W];
    partial[block * std::int64_t{columns} + j] = all;
  }
}

/// Does `work` on [rows, columns] elements of T, in whole packs where they are `packed`; sums over rows to out (=|+=), by way of the
/// workspace (linear_backward_workspace), where out is given.
template <class T, class Work>
void run_row_sums(Stream& stream, const Work& work, DType type, std::int64_t rows, std::int64_t columns, bool packed, SumOf<T>* out,
                  Write write, void* workspace) {
  using S = SumOf<T>;
  const RowSumCut cut = row_sum_cut(rows, columns, type);
  S* const partial = out != nullptr ? static_cast<S*>(workspace) : nullptr;
  const LaunchShape shape{static_cast<unsigned>(cut.chunks * cut.blocks), 32 * row_sum_ways};
  const auto with = [&](auto kernel) {
    launch(kernel, shape, queue_of(stream), work, rows, static_cast<int>(columns), cut.block_rows, static_cast<unsigned>(cut.chunks),
           partial);
  };
  if (cut.chunks * cut.blocks > 0) {
    if (!std::is_same_v<T, double> && packed)
      with(row_sum_kernel<T, !std::is_same_v<T, double>, Work>);
    else
      with(row_sum_kernel<T, false, Work>);
  }
  if (out != nullptr) fold_partials<S>(stream, partial, cut.blocks, columns, out, write);
}

}  // namespace strata::cuda
