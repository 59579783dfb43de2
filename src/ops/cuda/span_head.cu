// The question-answering head: dot products of tokens, a softmax of each sequence, sums over blocks of tokens.
#include "ops/cuda/span_head.hpp"

#include "device/cuda/launch.cuh"
#include "ops/cuda/queue.cuh"
#include "ops/cuda/softmax.cuh"

namespace strata::cuda {
namespace {

constexpr int threads = 256, warps = threads / 32, sum_rows = static_cast<int>(span_logits_rows);

/// Where the logit of token r and end c lies in [B,2,S].
__device__ __forceinline__ std::int64_t place(std::int64_t r, int c, std::int64_t S) {
  return (r / S * 2 + c) * S + r % S;
}

/// A warp for each token.
template <class T>
__global__ void __launch_bounds__(threads)
    logits_kernel(const T* x, const T* weight, const T* bias, SumOf<T>* logits, std::int64_t R, std::int64_t H, std::int64_t S) {
  const std::int64_t r = blockIdx.x * std::int64_t{warps} + threadIdx.x / 32;
  if (r >= R) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  SumOf<T> first = 0, last = 0;
#pragma unroll 4
  for (std::int64_t j = lane; j < H; j += 32) {
    const SumOf<T> value = widen(x[r * H + j]);
    first = fma(value, widen(weight[j]), first), last = fma(value, widen(weight[H + j]), last);
  }
  for (int step = 16; step > 0; step /= 2)
    first += __shfl_xor_sync(0xffffffffu, first, step), last += __shfl_xor_sync(0xffffffffu, last, step);
  if (lane < 2) logits[place(r, lane, S)] = (lane == 0 ? first : last) + widen(bias[lane]);
}

/// Block: 64 tokens and 256 columns; dx, after sum += dz x for both ends: dx may be x.
template <class T>
__global__ void __launch_bounds__(threads) gradient_kernel(const SumOf<T>* dz, const T* x, const T* weight, T* dx, SumOf<T>* partial,
                                                           std::int64_t R, std::int64_t H, std::int64_t S) {
  using Sum = SumOf<T>;
  __shared__ Sum slopes[2][sum_rows];
  const std::int64_t begin = blockIdx.x * std::int64_t{sum_rows};
  if (threadIdx.x < 2 * sum_rows) {
    const int c = static_cast<int>(threadIdx.x) / sum_rows, r = static_cast<int>(threadIdx.x) % sum_rows;
    slopes[c][r] = begin + r < R ? dz[place(begin + r, c, S)] : Sum{0};
  }
  __syncthreads();
  const std::int64_t j = blockIdx.y * std::int64_t{threads} + threadIdx.x;
  if (j >= H) return;
  const Sum w0 = widen(weight[j]), w1 = widen(weight[H + j]);
  Sum first = 0, last = 0;
  const int rows = static_cast<int>(min(std::int64_t{sum_rows}, R - begin));
#pragma unroll 4
  for (int r = 0; r < rows; ++r) {
    const std::int64_t at = (begin + r) * H + j;
    const Sum value = widen(x[at]);
    first = fma(slopes[0][r], value, first), last = fma(slopes[1][r], value, last);
    dx[at] = narrow<T>(fma(slopes[0][r], w0, slopes[1][r] * w1));
  }
  partial[blockIdx.x * 2 * H + j] = first, partial[blockIdx.x * 2 * H + H + j] = last;
}

/// dweight: the blocks' sums in order; and by the last two blocks dbias: every 256th token a thread, in f64, then by halves.
template <class Sum>
__global__ void __launch_bounds__(threads) fold_kernel(const Sum* partial, std::int64_t blocks, const Sum* dz, Sum* dweight, Sum* dbias,
                                                       std::int64_t R, std::int64_t H, std::int64_t S) {
  __shared__ double sums[threads];
  const int fold_blocks = static_cast<int>(gridDim.x) - 2, c = static_cast<int>(blockIdx.x) - fold_blocks;
  if (c < 0) {
    const std::int64_t j = blockIdx.x * std::int64_t{threads} + threadIdx.x;
    if (j >= 2 * H) return;
    Sum sum = 0;
#pragma unroll 8
    for (std::int64_t b = 0; b < blocks; ++b) sum += partial[b * 2 * H + j];
    dweight[j] = sum;
    return;
  }
  double sum = 0;
  for (std::int64_t r = threadIdx.x; r < R; r += threads) sum += static_cast<double>(dz[place(r, c, S)]);
  sums[threadIdx.x] = sum;
  for (unsigned half = threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
  }
  if (threadIdx.x == 0) dbias[c] = static_cast<Sum>(sums[0]);
}

/// The factor of the losses of end c: labels that count, of both ends and of this one.
__device__ __forceinline__ double weight_of(const int* labels, std::int64_t B, std::int64_t S, int c) {
  int all = 0, own = 0;
  for (std::int64_t i = 0; i < 2 * B; ++i) {
    const int counts = labels[i] >= 0 && labels[i] < S;
    all += counts, own += i % 2 == c ? counts : 0;
  }
  return own > 0 ? static_cast<double>(all) / (2.0 * own) : 0.0;
}

/// Block: one end of one sequence. dz may be z.
template <class Sum>
__global__ void __launch_bounds__(threads) loss_kernel(const Sum* logits, const int* labels, double number, const double* number_at,
                                                       double* loss, Sum* dlogits, std::int64_t B, std::int64_t S) {
  __shared__ double shared_weight;
  const Sum* z = logits + blockIdx.x * S;
  Sum* dz = dlogits ? dlogits + blockIdx.x * S : nullptr;
  const int label = labels[blockIdx.x];
  if (label < 0 || label >= S) {
    if (threadIdx.x == 0) loss[blockIdx.x] = 0;
    for (std::int64_t s = threadIdx.x; dz && s < S; s += threads) dz[s] = 0;
    return;
  }
  const double at_label = static_cast<double>(z[label]);
  if (threadIdx.x == 0) shared_weight = weight_of(labels, B, S, static_cast<int>(blockIdx.x % 2));
  Mass<Sum> own;
  for (std::int64_t s = threadIdx.x; s < S; s += threads) {
    const Sum one[1] = {z[s]};
    own.add(one);
  }
  const BlockMass<Sum> mass = join<Sum, threads>(own);  // its barriers: everyone has read the label's logit and knows the weight
  const double weight = shared_weight, scale = number_at ? *number_at : number;
  if (threadIdx.x == 0) loss[blockIdx.x] = weight * ((static_cast<double>(mass.top) + log(mass.sum)) - at_label);
  if (!dz) return;
  const Sum factor = static_cast<Sum>(scale * weight / mass.sum);
  for (std::int64_t s = threadIdx.x; s < S; s += threads)
    dz[s] = exponential<Sum>(z[s] - mass.top) * factor - (s == label ? static_cast<Sum>(scale * weight) : Sum{0});
}

}  // namespace

void span_logits_forward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& bias, const View& logits) {
  const std::int64_t R = x.size(0), H = x.size(1), S = logits.size(2);
  if (R == 0) return;
  with_float_type("span_logits_forward", x.type(), [&](auto element) {
    using T = decltype(element);
    launch(logits_kernel<T>, {static_cast<unsigned>((R + warps - 1) / warps), threads}, queue_of(stream), data_of<T>(x), data_of<T>(weight),
           data_of<T>(bias), data_of<SumOf<T>>(logits), R, H, S);
  });
}

void span_logits_backward(Stream& stream, const ConstView& dlogits, const ConstView& x, const ConstView& weight, const View& dx,
                          const View& dweight, const View& dbias, void* workspace) {
  const std::int64_t R = x.size(0), H = x.size(1), S = dlogits.size(2), blocks = (R + sum_rows - 1) / sum_rows;
  with_float_type("span_logits_backward", x.type(), [&](auto element) {
    using T = decltype(element);
    using Sum = SumOf<T>;
    auto* partial = static_cast<Sum*>(workspace);
    const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>((H + threads - 1) / threads));
    if (R > 0 && H > 0)
      launch(gradient_kernel<T>, {grid, threads}, queue_of(stream), data_of<Sum>(dlogits), data_of<T>(x), data_of<T>(weight),
             data_of<T>(dx), partial, R, H, S);
    launch(fold_kernel<Sum>, {static_cast<unsigned>((2 * H + threads - 1) / threads + 2), threads}, queue_of(stream), partial, blocks,
           data_of<Sum>(dlogits), data_of<Sum>(dweight), data_of<Sum>(dbias), R, H, S);
  });
}

void span_cross_entropy(Stream& stream, const ConstView& logits, const ConstView& labels, const Factor& scale, const View& row_loss,
                        const View& dlogits) {
  const std::int64_t B = logits.size(0), S = logits.size(2);
  if (B == 0) return;
  const auto run = [&](auto element) {
    using Sum = decltype(element);
    launch(loss_kernel<Sum>, {static_cast<unsigned>(2 * B), threads}, queue_of(stream), data_of<Sum>(logits), data_of<int>(labels),
           scale.value, scale.place.given() ? data_of<double>(scale.place) : nullptr, data_of<double>(row_loss),
           dlogits.given() ? data_of<Sum>(dlogits) : nullptr, B, S);
  };
  logits.type() == DType::f64 ? run(double{}) : run(float{});
}

}  // namespace strata::cuda
