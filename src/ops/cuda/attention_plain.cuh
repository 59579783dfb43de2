#pragma once
// Plain kernels of attention (f32, f64, and heads beyond 128 of bf16 and f16): tiles of rows in shared memory, eight threads a row, each
// with every eighth column.
#include "device/cuda/launch.cuh"
#include "device/cuda/ptx.cuh"
#include "ops/cuda/attention_gradient.cuh"
#include "ops/cuda/attention_tensor.hpp"
#include "ops/cuda/queue.cuh"
#include "strata/ops/gpu_limits.hpp"

namespace strata::cuda {

__device__ __forceinline__ float exp_of(float x) {
  return expf(x);
}
__device__ __forceinline__ double exp_of(double x) {
  return exp(x);
}
__device__ __forceinline__ float log_of(float x) {
  return logf(x);
}
__device__ __forceinline__ double log_of(double x) {
  return log(x);
}

/// Rows of a tile.
template <class T>
constexpr int plain_rows = sizeof(SumOf<T>) == 8 ? 16 : 32;
template <class T>
constexpr int plain_threads = 8 * plain_rows<T>;

/// A tile of plain_rows rows of hd columns, one column of padding against bank conflicts.
template <class T>
struct PlainTile {
  SumOf<T>* data;
  int stride;

  __device__ __forceinline__ SumOf<T>* row(int r) const { return data + r * stride; }
  /// Rows below `limit`, zeros beyond.
  __device__ __forceinline__ void load(const T* from, std::int64_t step, int limit, int hd) const {
    for (int i = static_cast<int>(threadIdx.x); i < plain_rows<T> * hd; i += plain_threads<T>) {
      const int r = i / hd, d = i % hd;
      row(r)[d] = r < limit ? widen(from[r * step + d]) : SumOf<T>{0};
    }
  }
  static std::size_t bytes(int hd) { return sizeof(SumOf<T>) * plain_rows<T> * (hd + 1); }
};

template <class Sum>
__device__ __forceinline__ Sum plain_dot(const Sum* x, const Sum* y, int hd) {
  Sum sum = 0;
  for (int d = 0; d < hd; ++d) sum = fma(x[d], y[d], sum);
  return sum;
}

/// Calls f with the number of columns of a thread that suffices: 16 or 32 times 8.
template <class T, class F>
void with_plain_columns(const char* op, std::int64_t hd, F&& f) {
  static_assert(largest_gpu_head == 32 * 8);
  STRATA_ASSERT(hd <= largest_gpu_head, op, ": heads of ", hd, ", on a GPU at most ", largest_gpu_head);
  if constexpr (sizeof(T) == 2)
    f(std::integral_constant<int, 32>{});
  else if (hd <= 128)
    f(std::integral_constant<int, 16>{});
  else
    f(std::integral_constant<int, 32>{});
}

}  // namespace strata::cuda
