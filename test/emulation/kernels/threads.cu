// Kernels about the threads of a block: barriers, shuffles, shared memory.
#include "device/cuda/launch.cuh"
#include "device/cuda/ptx.cuh"
#include "kernels.hpp"

using strata::cuda::launch;

// As Strata's own kernels: templates, whose variables g++ puts into no section of theirs.
namespace strata::cuda {
namespace {

template <int N>
__device__ __forceinline__ float other() {
  __shared__ float value[N];
  const float found = value[0];
  value[0] = 1.0f;
  return found;
}
template <int N>
__global__ void template_kernel(float* x, bool function) {
  __shared__ float value[N];
  x[blockIdx.x] = function ? other<N>() : value[N - 1];
  value[N - 1] = 1.0f;
}

}  // namespace
}  // namespace strata::cuda

namespace kernels {
namespace {

template <class T>
__device__ __forceinline__ T warp_sum(T x) {
#pragma unroll
  for (int lanes = 16; lanes > 0; lanes /= 2) x += __shfl_xor_sync(0xffffffffu, x, lanes);
  return x;
}

template <class T>
__global__ void __launch_bounds__(1024) sum_kernel(const T* __restrict__ x, T* __restrict__ sums, int n) {
  __shared__ T partial[32];
  T sum = 0;
  for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < n; i += static_cast<int>(gridDim.x * blockDim.x))
    sum += __ldg(x + i);
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    sum = warp_sum(threadIdx.x < blockDim.x / 32 ? partial[threadIdx.x] : T{0});
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
  }
}

__global__ void scale_kernel(float* x, float factor, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) x[i] *= factor;
}
__global__ void write_kernel(float* x, long index) {
  x[index] = 1.0f;
}
__global__ void race_kernel(int* x) {
  *x = static_cast<int>(blockIdx.x);
}

__global__ void neighbour_kernel(int* x, bool with_barrier) {
  __shared__ int values[128];
  values[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (with_barrier) __syncthreads();
  x[threadIdx.x] = values[(threadIdx.x + 1) % 128];
}

__global__ void divergent_kernel() {
  if (threadIdx.x != 5) __syncthreads();
}
__global__ void partial_kernel() {
  if (threadIdx.x < 31) __shfl_sync(0xffffffffu, 1, 0);
}

__global__ void uninitialised_kernel(float* x, bool dynamic) {
  __shared__ float value;
  x[blockIdx.x] = dynamic ? *strata::cuda::dynamic_shared<float>() : value;
  value = 1.0f;
  *strata::cuda::dynamic_shared<float>() = 1.0f;
}

__global__ void shuffles_kernel(int* x) {
  const int lane = static_cast<int>(threadIdx.x);
  const unsigned all = 0xffffffffu;
  x[lane] = __shfl_sync(all, lane, 7);
  x[32 + lane] = __shfl_up_sync(all, lane, 3);
  x[64 + lane] = __shfl_down_sync(all, lane, 3);
  x[96 + lane] = __shfl_xor_sync(all, lane, 1);
  x[128 + lane] = __shfl_sync(all, lane, 1, 8);
  if (lane < 16)
    x[160 + lane] = __shfl_xor_sync(0xffffu, lane, 8);
  else
    x[160 + lane] = __shfl_down_sync(0xffff0000u, lane, 1, 4);
  const double half = __shfl_xor_sync(all, 0.5 * lane, 2);
  if (half != 0.5 * (lane ^ 2)) x[0] = -1;
}

__global__ void votes_kernel(unsigned* x) {
  const bool odd = threadIdx.x % 2 == 1;
  const unsigned ballot = __ballot_sync(0xffffffffu, odd);
  const int any = __any_sync(0xffffffffu, odd), all = __all_sync(0xffffffffu, odd);
  const unsigned sum = __reduce_add_sync(0xffffffffu, threadIdx.x);
  if (threadIdx.x == 0) x[0] = ballot, x[1] = static_cast<unsigned>(any), x[2] = static_cast<unsigned>(all), x[3] = sum;
}

// Warp 0 makes, warp 1 uses, in two buffers: full[b] is barrier 1 + b, empty[b] is 3 + b.
__global__ void pipeline_kernel(int* x) {
  __shared__ int buffer[2][32];
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int step = 0; step < 6; ++step) {
    const int b = step % 2;
    if (threadIdx.x < 32) {
      if (step >= 2) strata::cuda::named_barrier_sync(3 + b, 64);
      buffer[b][lane] = 100 * step + lane;
      strata::cuda::named_barrier_arrive(1 + b, 64);
    } else {
      strata::cuda::named_barrier_sync(1 + b, 64);
      x[step * 32 + lane] = buffer[b][31 - lane];
      if (step < 4) strata::cuda::named_barrier_arrive(3 + b, 64);
    }
  }
}

__global__ void sync_counts_kernel(int* x) {
  const int count = __syncthreads_count(threadIdx.x < 3);
  const int any = __syncthreads_or(threadIdx.x == 9), none = __syncthreads_or(0), all = __syncthreads_and(threadIdx.x < 1000);
  if (threadIdx.x == 40) x[0] = count, x[1] = any, x[2] = none, x[3] = all;
}

__device__ int deep(int depth, int* x) {
  volatile char room[1024];
  room[0] = static_cast<char>(depth);
  return depth == 0 ? *x : deep(depth - 1, x) + room[0];
}
__global__ void recurse_kernel(int* x, int depth) {
  *x = deep(depth, x);
}

__global__ void shared_kernel_(int* x, int last) {
  int* const shared = strata::cuda::dynamic_shared<int>();
  shared[last] = 3;
  *x = shared[last];
}

}  // namespace

void block_sum(const float* x, float* sums, int n, int blocks, int threads, cudaStream_t stream) {
  launch(sum_kernel<float>, {dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads))}, stream, x, sums, n);
}
void scale(float* x, float factor, int n, cudaStream_t stream) {
  launch(scale_kernel, {dim3(static_cast<unsigned>((n + 127) / 128)), 128}, stream, x, factor, n);
}
void write_at(float* x, long index, cudaStream_t stream) {
  launch(write_kernel, {1, 1}, stream, x, index);
}
void last_block_wins(int* x, int blocks, cudaStream_t stream) {
  launch(race_kernel, {static_cast<unsigned>(blocks), 32}, stream, x);
}
void neighbour(int* x, bool with_barrier, cudaStream_t stream) {
  launch(neighbour_kernel, {1, 128}, stream, x, with_barrier);
}
void divergent_barrier(cudaStream_t stream) {
  launch(divergent_kernel, {1, 64}, stream);
}
void shuffle_without_all(cudaStream_t stream) {
  launch(partial_kernel, {1, 32}, stream);
}
void uninitialised(float* x, bool dynamic, cudaStream_t stream) {
  launch(uninitialised_kernel, {4, 1, 256}, stream, x, dynamic);
}
void uninitialised_in_a_template(float* x, bool function, cudaStream_t stream) {
  launch(strata::cuda::template_kernel<100>, {4, 1}, stream, x, function);
}
std::size_t static_bytes_of_a_template() {
  cudaFuncAttributes attributes;
  cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(&strata::cuda::template_kernel<100>));
  return attributes.sharedSizeBytes;
}
void shuffles(int* x, cudaStream_t stream) {
  launch(shuffles_kernel, {1, 32}, stream, x);
}
void votes(unsigned* x, cudaStream_t stream) {
  launch(votes_kernel, {1, 32}, stream, x);
}
void named_barriers(int* x, cudaStream_t stream) {
  launch(pipeline_kernel, {1, 64}, stream, x);
}
void sync_counts(int* x, cudaStream_t stream) {
  launch(sync_counts_kernel, {1, 96}, stream, x);
}
void recurse(int* x, int depth, cudaStream_t stream) {
  launch(recurse_kernel, {1, 1}, stream, x, depth);
}
void shared_bytes(int* x, std::size_t bytes, cudaStream_t stream) {
  launch(shared_kernel_, {1, 1, bytes}, stream, x, static_cast<int>(bytes / sizeof(int)) - 1);
}
const void* shared_kernel() {
  return reinterpret_cast<const void*>(shared_kernel_);
}

}  // namespace kernels
