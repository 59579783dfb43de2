#pragma once
// RMS normalisation of one row on the host, as the ops that hold it share it.
#include <cmath>
#include <cstdint>

#include "ops/cpu/element.hpp"
#include "ops/cpu/lanes.hpp"

namespace strata::cpu {

/// Rows of one partial sum of dweight.
constexpr std::int64_t norm_row_block = 64;
constexpr std::int64_t norm_row_blocks(std::int64_t rows) {
  return (rows + norm_row_block - 1) / norm_row_block;
}

/// Where row r of a view [R,H] or [R,n,H] begins, rows numbered through both outer dimensions.
template <class T>
struct Rows {
  T* data;
  std::int64_t inner, outer_stride, inner_stride;

  template <class AnyView>
  explicit Rows(const AnyView& view)
      : data(view.template as<T>()),
        inner(view.rank() == 3 ? view.size(1) : 1),
        outer_stride(view.stride(0)),
        inner_stride(view.rank() == 3 ? view.stride(1) : 0) {}
  T* operator[](std::int64_t r) const { return data + r / inner * outer_stride + r % inner * inner_stride; }
};

/// One row: y = x rstd weight; y may be x.
template <class T>
void rms_norm_row(const T* x, const T* weight, std::int64_t H, SumOf<T> eps, T* y, SumOf<T>* rstd_out) {
  using Sum = SumOf<T>;
  const Sum squares = lane_sum<Sum>(H, [&](std::int64_t j) { return static_cast<Sum>(x[j]) * static_cast<Sum>(x[j]); });
  const Sum rstd = Sum{1} / std::sqrt(squares / static_cast<Sum>(H) + eps);
  if (rstd_out != nullptr) *rstd_out = rstd;
    // y may be x: each element is read before it is written.
#pragma GCC ivdep
  for (std::int64_t j = 0; j < H; ++j) {
    const T scaled = static_cast<T>(static_cast<Sum>(x[j]) * rstd);
    y[j] = static_cast<T>(static_cast<Sum>(scaled) * static_cast<Sum>(weight[j]));
  }
}

/// One row: dweight += dy xhat, then dx; dx may be dy.
template <bool add, class T>
void rms_norm_row_backward(const T* dy, const T* x, const T* weight, std::int64_t H, SumOf<T> rstd, T* dx, SumOf<T>* dweight) {
  using Sum = SumOf<T>;
  const Sum g_x =
      lane_sum<Sum>(H, [&](std::int64_t j) { return static_cast<Sum>(dy[j]) * static_cast<Sum>(weight[j]) * static_cast<Sum>(x[j]); });
  const Sum mean = g_x * rstd / static_cast<Sum>(H);  // mean(g xhat)
#pragma GCC ivdep
  for (std::int64_t j = 0; j < H; ++j) {
    const Sum xhat = static_cast<Sum>(x[j]) * rstd;
    const Sum g = static_cast<Sum>(dy[j]) * static_cast<Sum>(weight[j]);
    dweight[j] += static_cast<Sum>(dy[j]) * xhat;
    const Sum value = rstd * (g - xhat * mean);
    dx[j] = static_cast<T>(add ? static_cast<Sum>(dx[j]) + value : value);
  }
}

}  // namespace strata::cpu
