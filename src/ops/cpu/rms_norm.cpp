// RMS normalisation on the host: one row at a time, rows in fixed blocks.
#include "ops/cpu/rms_norm.hpp"

#include <algorithm>
#include <cmath>

#include "ops/cpu/element.hpp"
#include "ops/cpu/lanes.hpp"
#include "ops/cpu/row_sum.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

constexpr Index row_block = 64;

/// Where row r of a view [R,H] or [R,n,H] begins, rows numbered through both outer dimensions.
template <class T>
struct Rows {
  T* data;
  Index inner, outer_stride, inner_stride;

  template <class AnyView>
  explicit Rows(const AnyView& view)
      : data(view.template as<T>()),
        inner(view.rank() == 3 ? view.size(1) : 1),
        outer_stride(view.stride(0)),
        inner_stride(view.rank() == 3 ? view.stride(1) : 0) {}
  T* operator[](Index r) const { return data + r / inner * outer_stride + r % inner * inner_stride; }
};

template <class T>
void forward_row(const T* x, const T* weight, Index H, SumOf<T> eps, T* y, SumOf<T>* rstd_out) {
  using Sum = SumOf<T>;
  const Sum squares = lane_sum<Sum>(H, [&](Index j) { return static_cast<Sum>(x[j]) * static_cast<Sum>(x[j]); });
  const Sum rstd = Sum{1} / std::sqrt(squares / static_cast<Sum>(H) + eps);
  if (rstd_out != nullptr) *rstd_out = rstd;
    // y may be x: each element is read before it is written.
#pragma GCC ivdep
  for (Index j = 0; j < H; ++j) {
    const T scaled = static_cast<T>(static_cast<Sum>(x[j]) * rstd);
    y[j] = static_cast<T>(static_cast<Sum>(scaled) * static_cast<Sum>(weight[j]));
  }
}

/// One row: dweight += dy xhat, then dx; dx may be dy.
template <bool add, class T>
void backward_row(const T* dy, const T* x, const T* weight, Index H, SumOf<T> rstd, T* dx, SumOf<T>* dweight) {
  using Sum = SumOf<T>;
  const Sum g_x = lane_sum<Sum>(H, [&](Index j) { return static_cast<Sum>(dy[j]) * static_cast<Sum>(weight[j]) * static_cast<Sum>(x[j]); });
  const Sum mean = g_x * rstd / static_cast<Sum>(H);  // mean(g xhat)
#pragma GCC ivdep
  for (Index j = 0; j < H; ++j) {
    const Sum xhat = static_cast<Sum>(x[j]) * rstd;
    const Sum g = static_cast<Sum>(dy[j]) * static_cast<Sum>(weight[j]);
    dweight[j] += static_cast<Sum>(dy[j]) * xhat;
    const Sum value = rstd * (g - xhat * mean);
    dx[j] = static_cast<T>(add ? static_cast<Sum>(dx[j]) + value : value);
  }
}

}  // namespace

std::int64_t rms_norm_workspace(std::int64_t rows, std::int64_t H, DType type) {
  return (rows + row_block - 1) / row_block * H * static_cast<Index>(size_of(sum_type(type)));
}

void rms_norm_forward(Stream& stream, const ConstView& x, const ConstView& weight, double eps, const View& y, const View& rstd) {
  const Index rows = x.shape().rows(), H = x.shape().back();
  with_float_type("rms_norm_forward", x.type(), [&](auto element) {
    using T = decltype(element);
    const Rows<const T> from(x);
    const Rows<T> to(y);
    SumOf<T>* kept = rstd.given() ? rstd.as<SumOf<T>>() : nullptr;
    stream.pool().run((rows + row_block - 1) / row_block, [&](Index task, int) {
      for (Index r = task * row_block; r < std::min(rows, (task + 1) * row_block); ++r)
        forward_row(from[r], weight.as<const T>(), H, static_cast<SumOf<T>>(eps), to[r], kept != nullptr ? kept + r : nullptr);
    });
  });
}

void rms_norm_backward(Stream& stream, const ConstView& dy, const ConstView& x, const ConstView& weight, const ConstView& rstd,
                       const View& dx, Write write_dx, const View& dweight, Write write_dweight, void* workspace) {
  const Index rows = x.shape().rows(), H = x.shape().back(), blocks = (rows + row_block - 1) / row_block;
  with_float_type("rms_norm_backward", x.type(), [&](auto element) {
    using T = decltype(element);
    const Rows<const T> from_dy(dy), from_x(x);
    const Rows<T> to(dx);
    auto* partial = static_cast<SumOf<T>*>(workspace);
    stream.pool().run(blocks, [&](Index task, int) {
      SumOf<T>* sum = partial + task * H;
      std::fill_n(sum, H, SumOf<T>{0});
      for (Index r = task * row_block; r < std::min(rows, (task + 1) * row_block); ++r) {
        const SumOf<T> scale = rstd.as<const SumOf<T>>()[r];
        if (write_dx == Write::add)
          backward_row<true>(from_dy[r], from_x[r], weight.as<const T>(), H, scale, to[r], sum);
        else
          backward_row<false>(from_dy[r], from_x[r], weight.as<const T>(), H, scale, to[r], sum);
      }
    });
    sum_rows(stream, partial, H, blocks, H, dweight.as<SumOf<T>>(), write_dweight);
  });
}

}  // namespace strata::cpu
