// The gradient of a bias: rows summed in blocks, then the blocks' sums in order.
#include "ops/cuda/linear.hpp"

#include "device/cuda/element.cuh"
#include "device/cuda/launch.cuh"
#include "ops/cuda/column_sums.cuh"
#include "ops/cuda/queue.cuh"
#include "ops/cuda/rows.cuh"

namespace strata::cuda {
namespace {

constexpr int ways = 8, rows_at_once = 4;

/// A block of 8 warps: each lane sums one pack of columns over every 8th row, four loads under way at once; then the warps are added in
/// order.
template <class T, bool whole>
__global__ void __launch_bounds__(32 * ways) sum_kernel(const T* x, std::int64_t stride, std::int64_t rows, int columns,
                                                        std::int64_t block_rows, unsigned chunks, SumOf<T>* partial) {
  using S = SumOf<T>;
  constexpr int W = pack_size<T>;
  __shared__ S sums[ways][W][32];
  const unsigned chunk = blockIdx.x % chunks, block = blockIdx.x / chunks;
  const int lane = static_cast<int>(threadIdx.x % 32), way = static_cast<int>(threadIdx.x / 32), p = static_cast<int>(chunk) * 32 + lane;
  const std::int64_t begin = block * block_rows, end = begin + block_rows < rows ? begin + block_rows : rows;
  S total[W] = {};
  for (std::int64_t r = begin + way; r < end; r += ways * rows_at_once) {
    Pack<T> pack[rows_at_once];
#pragma unroll
    for (int q = 0; q < rows_at_once; ++q) {
      const bool there = r + q * ways < end;
      pack[q] = load_of_row<whole>(x + (there ? r + q * ways : r) * stride, p, there ? columns : 0);
    }
#pragma unroll
    for (int q = 0; q < rows_at_once; ++q)
#pragma unroll
      for (int e = 0; e < W; ++e) total[e] += widen(pack[q].of[e]);
  }
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

template <class T>
void run(Stream& stream, const ConstView& dy, const View& dbias, Write write, void* workspace) {
  using S = SumOf<T>;
  const std::int64_t rows = dy.size(0), columns = dy.size(1), stride = dy.stride(0);
  const RowSumCut cut = row_sum_cut(rows, columns, dy.type());
  const T* const from = data_of<T>(dy);
  S* const partial = static_cast<S*>(workspace);
  const LaunchShape shape{static_cast<unsigned>(cut.chunks * cut.blocks), 32 * ways};
  const auto with = [&](auto kernel) {
    launch(kernel, shape, queue_of(stream), from, stride, rows, static_cast<int>(columns), cut.block_rows,
           static_cast<unsigned>(cut.chunks), partial);
  };
  if (cut.chunks * cut.blocks > 0) {
    if (!std::is_same_v<T, double> && packs(from, stride, columns))
      with(sum_kernel<T, !std::is_same_v<T, double>>);
    else
      with(sum_kernel<T, false>);
  }
  fold_partials<S>(stream, partial, cut.blocks, columns, data_of<S>(dbias), write);
}

}  // namespace

void linear_backward_bias(Stream& stream, const ConstView& dy, const View& dbias, Write write, void* workspace) {
  with_float_type("linear_backward_weight", dy.type(), [&](auto element) { run<decltype(element)>(stream, dy, dbias, write, workspace); });
}

}  // namespace strata::cuda
