#pragma once
// Sums of exponentials carried along with their largest term, and their joining over a block in a fixed order.
#include "device/cuda/element.cuh"
#include "device/cuda/ptx.cuh"

namespace strata::cuda {

/// e^x for x <= 0; for bf16 and f16 by the fast instruction (about 2 ulp in f32).
template <class T>
__device__ __forceinline__ SumOf<T> exponential(SumOf<T> x) {
  if constexpr (sizeof(T) == 2)
    return exp2_approx(x * 1.44269504088896340736f);
  else if constexpr (std::is_same_v<T, float>)
    return expf(x);
  else
    return exp(x);
}

/// Largest of some numbers, and the sum of e^(number - top).
template <class T>
struct Mass {
  using Sum = SumOf<T>;
  Sum top = -Sum{INFINITY}, sum = 0;

  template <int W>
  __device__ __forceinline__ void add(const Sum (&z)[W]) {
    Sum most = top;
#pragma unroll
    for (int e = 0; e < W; ++e) most = max(most, z[e]);
    if (most > top) sum *= exponential<T>(top - most), top = most;
#pragma unroll
    for (int e = 0; e < W; ++e) sum += exponential<T>(z[e] - top);
  }
};

/// Largest number of the block, and the sum of e^(number - top).
template <class T>
struct BlockMass {
  SumOf<T> top;
  double sum;
};

/// The threads' masses joined: lanes by halves, then warps by halves. Holds two barriers.
template <class T, int threads>
__device__ __forceinline__ BlockMass<T> join(Mass<T> own) {
  using Sum = SumOf<T>;
  constexpr int warps = threads / 32;
  __shared__ Sum tops[warps];
  __shared__ double sums[warps];
  Sum top = own.top;
#pragma unroll
  for (int step = 16; step > 0; step /= 2) top = max(top, __shfl_xor_sync(0xffffffffu, top, step));
  // A thread without numbers has the sum 0 and the top -inf.
  double sum = own.top == top ? static_cast<double>(own.sum) : static_cast<double>(own.sum) * exp(static_cast<double>(own.top) - top);
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
  __syncthreads();
  if (threadIdx.x % 32 == 0) tops[threadIdx.x / 32] = top, sums[threadIdx.x / 32] = sum;
  __syncthreads();
  for (int w = 0; w < warps; ++w) top = max(top, tops[w]);
  const int lane = static_cast<int>(threadIdx.x) % 32;
  sum = lane < warps ? (tops[lane] == top ? sums[lane] : sums[lane] * exp(static_cast<double>(tops[lane]) - top)) : 0.0;
#pragma unroll
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
  return {top, sum};
}

}  // namespace strata::cuda
