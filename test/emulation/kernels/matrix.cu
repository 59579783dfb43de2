// Kernels about matrix instructions and asynchronous copies.
#include <cstdint>

#include "device/cuda/launch.cuh"
#include "device/cuda/ptx.cuh"
#include "kernels.hpp"

using strata::cuda::launch;

namespace kernels {
namespace {

__device__ unsigned two(const std::uint16_t* x) {
  return x[0] | static_cast<unsigned>(x[1]) << 16;
}

__device__ void store(float* d, const float (&fragment)[4], int group, int pair) {
  for (int i = 0; i < 4; ++i) d[(group + i / 2 * 8) * 8 + 2 * pair + i % 2] = fragment[i];
}

// A [16,16] by rows, B [16,8] by columns, D [16,8] by rows.
template <Mma type>
__global__ void mma_kernel(const std::uint16_t* a, const std::uint16_t* b, float* d) {
  const int group = static_cast<int>(threadIdx.x) / 4, pair = static_cast<int>(threadIdx.x) % 4;
  const unsigned fa[4] = {two(a + group * 16 + 2 * pair), two(a + (group + 8) * 16 + 2 * pair), two(a + group * 16 + 2 * pair + 8),
                          two(a + (group + 8) * 16 + 2 * pair + 8)};
  const unsigned fb[2] = {two(b + group * 16 + 2 * pair), two(b + group * 16 + 2 * pair + 8)};
  float fd[4] = {1.0f, 1.0f, 1.0f, 1.0f};
  if constexpr (type == Mma::bf16)
    strata::cuda::mma_bf16_16x8x16(fd, fa, fb);
  else
    strata::cuda::mma_f16_16x8x16(fd, fa, fb);
  store(d, fd, group, pair);
}

// A [16,8] by rows, B [8,8] by columns.
__global__ void tf32_kernel(const unsigned* a, const unsigned* b, float* d) {
  const int group = static_cast<int>(threadIdx.x) / 4, pair = static_cast<int>(threadIdx.x) % 4;
  const unsigned fa[4] = {a[group * 8 + pair], a[(group + 8) * 8 + pair], a[group * 8 + pair + 4], a[(group + 8) * 8 + pair + 4]};
  const unsigned fb[2] = {b[group * 8 + pair], b[group * 8 + pair + 4]};
  float fd[4] = {1.0f, 1.0f, 1.0f, 1.0f};
  strata::cuda::mma_tf32_16x8x8(fd, fa, fb);
  store(d, fd, group, pair);
}

// A [16,16] and B [16,8] by rows in shared memory: A by ldmatrix, B by its transposed form.
__global__ void shared_mma_kernel(const std::uint16_t* a, const std::uint16_t* b, float* d) {
  alignas(16) __shared__ std::uint16_t tile_a[16][16], tile_b[16][8];
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = lane; i < 256; i += 32) tile_a[i / 16][i % 16] = a[i];
  for (int i = lane; i < 128; i += 32) tile_b[i / 8][i % 8] = b[i];
  __syncwarp();
  unsigned fa[4], fb[2];
  strata::cuda::ldmatrix_x4(fa, &tile_a[lane % 16][lane / 16 * 8]);
  strata::cuda::ldmatrix_x2_trans(fb, &tile_b[lane % 16][0]);
  float fd[4] = {1.0f, 1.0f, 1.0f, 1.0f};
  strata::cuda::mma_bf16_16x8x16(fd, fa, fb);
  store(d, fd, lane / 4, lane % 4);
}

__global__ void load_kernel(const std::uint16_t* rows, unsigned* registers, int count, bool transposed) {
  alignas(16) __shared__ std::uint16_t tile[32][8];
  const int lane = static_cast<int>(threadIdx.x);
  for (int i = 0; i < 8; ++i) tile[lane][i] = rows[lane * 8 + i];
  __syncwarp();
  unsigned r[4] = {}, s[2] = {};
  if (count == 4 && transposed)
    strata::cuda::ldmatrix_x4_trans(r, tile[lane]);
  else if (count == 4)
    strata::cuda::ldmatrix_x4(r, tile[lane]);
  else if (transposed)
    strata::cuda::ldmatrix_x2_trans(s, tile[lane % 16]);
  else
    strata::cuda::ldmatrix_x2(s, tile[lane % 16]);
  for (int i = 0; i < count; ++i) registers[lane * 4 + i] = count == 4 ? r[i] : s[i];
}

// y = x through shared memory, four floats a thread, in two groups; what lies behind n comes as zero. Without the wait y is what was there.
__global__ void copy_kernel(const float* x, float* y, int n, bool wait) {
  float* const shared = strata::cuda::dynamic_shared<float>();
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  for (int part = 0; part < 2; ++part) {
    const int i = 4 * (part * threads + thread);
    strata::cuda::cp_async_16_zfill(shared + i, i < n ? x + i : x, i < n);
    strata::cuda::cp_async_commit();
  }
  if (wait) strata::cuda::cp_async_wait<1>();
  for (int j = 0; j < 4; ++j) y[4 * thread + j] = shared[4 * thread + j];
  if (wait) strata::cuda::cp_async_wait<0>();
  for (int j = 0; j < 4; ++j) y[4 * (threads + thread) + j] = shared[4 * (threads + thread) + j];
}

}  // namespace

void mma(Mma type, const void* a, const void* b, float* d, cudaStream_t stream) {
  const auto* const a16 = static_cast<const std::uint16_t*>(a);
  const auto* const b16 = static_cast<const std::uint16_t*>(b);
  if (type == Mma::bf16) launch(mma_kernel<Mma::bf16>, {1, 32}, stream, a16, b16, d);
  if (type == Mma::f16) launch(mma_kernel<Mma::f16>, {1, 32}, stream, a16, b16, d);
  if (type == Mma::tf32) launch(tf32_kernel, {1, 32}, stream, static_cast<const unsigned*>(a), static_cast<const unsigned*>(b), d);
}
void mma_from_shared(const void* a, const void* b, float* d, cudaStream_t stream) {
  launch(shared_mma_kernel, {1, 32}, stream, static_cast<const std::uint16_t*>(a), static_cast<const std::uint16_t*>(b), d);
}
void load_matrices(const void* rows, unsigned* registers, int count, bool transposed, cudaStream_t stream) {
  launch(load_kernel, {1, 32}, stream, static_cast<const std::uint16_t*>(rows), registers, count, transposed);
}
void copy_async(const float* x, float* y, int n, bool wait, cudaStream_t stream) {
  launch(copy_kernel, {1, 64, 2 * 64 * 16}, stream, x, y, n, wait);
}

}  // namespace kernels
