// Before the backward pass of attention: D_i = dout_i o_i for every row and head, and the keys that each block of queries sees. Before
// cuDNN's: lengths.
#include "device/cuda/launch.cuh"
#include "ops/cuda/attention_cudnn.hpp"
#include "ops/cuda/attention_gradient.cuh"
#include "ops/cuda/queue.cuh"

namespace strata::cuda {
namespace {

constexpr int threads = 256;

__global__ void lengths_kernel(int* lengths, int count, int value) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += threads) lengths[i] = value;
}

/// A warp for each 64 queries, two a lane.
template <class T>
__global__ void __launch_bounds__(32) range_kernel(const GradientPass<T> a) {
  const int block = static_cast<int>(blockIdx.x) % a.ranges_per_sequence;
  const std::int64_t b = blockIdx.x / a.ranges_per_sequence;
  KeyRanges ranges = KeyRanges::of_nobody();
  for (int r = static_cast<int>(threadIdx.x); r < attention_range_rows; r += 32) {
    const int i = block * static_cast<int>(attention_range_rows) + r;
    if (i < a.sight.S) ranges.add(a.sight.of(b, i));
  }
  ranges.add_lanes();
  if (threadIdx.x == 0) const_cast<KeyRanges*>(a.ranges)[blockIdx.x] = ranges;
}

/// `lanes` lanes for each row and head, heads side by side as they lie in memory; W elements at once.
template <class T, int W>
__global__ void __launch_bounds__(threads) dot_kernel(const GradientPass<T> a, std::int64_t items, int lanes) {
  const int per_block = threads / lanes, lane = static_cast<int>(threadIdx.x) % lanes;
  for (std::int64_t first = blockIdx.x * std::int64_t{per_block}; first < items; first += std::int64_t{gridDim.x} * per_block) {
    const std::int64_t item = first + static_cast<int>(threadIdx.x) / lanes;
    const std::int64_t h = item % a.nh, row = item / a.nh, i = row % a.sight.S, b = row / a.sight.S;
    SumOf<T> sum = 0;
    if (item < items) {
      const T *dout = a.dout.at(b, i, h), *o = a.o.at(b, i, h);
      for (int d = lane * W; d < a.hd; d += lanes * W) {
        if constexpr (W == 1) {
          sum += widen(dout[d]) * widen(o[d]);
        } else {
          const Pack<T> left = load_pack(dout + d), right = load_pack(o + d);
#pragma unroll
          for (int e = 0; e < W; ++e) sum += widen(left.of[e]) * widen(right.of[e]);
        }
      }
    }
    for (int step = lanes / 2; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    if (item < items && lane == 0) a.dots[a.at(b, static_cast<int>(h), static_cast<int>(i))] = sum;
  }
}

}  // namespace

template <class T>
void prepare_gradients(cudaStream_t queue, const GradientPass<T>& pass, std::int64_t B) {
  launch(range_kernel<T>, {static_cast<unsigned>(B * pass.ranges_per_sequence), 32}, queue, pass);
  const std::int64_t items = B * pass.sight.S * pass.nh;
  const bool packed = pass.packed_dout && pass.packed_o;
  const int elements = packed ? pack_size<T> : 1;
  int lanes = 1;
  while (lanes < 32 && lanes * elements < pass.hd) lanes *= 2;
  const unsigned blocks = blocks_for(items, threads / lanes, 1 << 20);
  if (packed)
    launch(dot_kernel<T, pack_size<T>>, {blocks, threads}, queue, pass, items, lanes);
  else
    launch(dot_kernel<T, 1>, {blocks, threads}, queue, pass, items, lanes);
}

void set_lengths(Stream& stream, int* lengths, std::int64_t count, std::int64_t value) {
  launch(lengths_kernel, {1, threads}, queue_of(stream), lengths, static_cast<int>(count), static_cast<int>(value));
}

template void prepare_gradients(cudaStream_t, const GradientPass<float>&, std::int64_t);
template void prepare_gradients(cudaStream_t, const GradientPass<bf16>&, std::int64_t);
template void prepare_gradients(cudaStream_t, const GradientPass<f16>&, std::int64_t);
template void prepare_gradients(cudaStream_t, const GradientPass<double>&, std::int64_t);

}  // namespace strata::cuda
