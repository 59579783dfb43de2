// Layer normalisation on the host: one row at a time, rows in fixed blocks.
#include "ops/cpu/layer_norm.hpp"

#include <algorithm>
#include <cmath>

#include "ops/cpu/dropout_factors.hpp"
#include "ops/cpu/element.hpp"
#include "ops/cpu/lanes.hpp"
#include "ops/cpu/row_sum.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

constexpr Index row_block = 64;

/// Calls work(first, count, factors of those columns) along a row.
template <class Sum, class Work>
void for_factors(const DropoutFactors<Sum>& drop, Index i, Index H, Work&& work) {
  constexpr Index group = DropoutFactors<Sum>::group;
  Sum factors[group];
  for (Index first = 0; first < H; first += group) {
    const Index count = std::min(group, H - first);
    drop.row(i, first, count, factors);
    work(first, count, factors);
  }
}

/// sum = residual + x
template <class T>
void add_row(const T* x, const T* residual, Index H, T* sum) {
#pragma GCC ivdep
  for (Index j = 0; j < H; ++j) sum[j] = static_cast<T>(static_cast<SumOf<T>>(residual[j]) + static_cast<SumOf<T>>(x[j]));
}

/// sum = residual + factor * x
template <class T>
void add_dropped_row(const DropoutFactors<SumOf<T>>& drop, Index i, const T* x, const T* residual, Index H, T* sum) {
  using Sum = SumOf<T>;
  for_factors(drop, i, H, [&](Index first, Index count, const Sum* factors) {
#pragma GCC ivdep
    for (Index j = 0; j < count; ++j)
      sum[first + j] = static_cast<T>(std::fma(static_cast<Sum>(x[first + j]), factors[j], static_cast<Sum>(residual[first + j])));
  });
}

template <class T>
void norm_row(const T* x, const T* weight, const T* bias, Index H, SumOf<T> eps, T* y, SumOf<T>* mean_out, SumOf<T>* rstd_out) {
  using Sum = SumOf<T>;
  const Sum mean = lane_sum<Sum>(H, [&](Index j) { return static_cast<Sum>(x[j]); }) / static_cast<Sum>(H);
  const Sum squares = lane_sum<Sum>(H, [&](Index j) {
    const Sum d = static_cast<Sum>(x[j]) - mean;
    return d * d;
  });
  const Sum rstd = Sum{1} / std::sqrt(squares / static_cast<Sum>(H) + eps);
  if (mean_out != nullptr) *mean_out = mean, *rstd_out = rstd;
    // y may be x: each element is read before it is written.
#pragma GCC ivdep
  for (Index j = 0; j < H; ++j) {
    const Sum xhat = (static_cast<Sum>(x[j]) - mean) * rstd;
    y[j] = static_cast<T>(std::fma(xhat, static_cast<Sum>(weight[j]), static_cast<Sum>(bias[j])));
  }
}

/// One row: dweight += dy xhat, dbias += dy, then dx; dx may be dy.
template <class T>
void backward_row(const T* dy, const T* x, const T* weight, Index H, SumOf<T> mean, SumOf<T> rstd, T* dx, SumOf<T>* dweight,
                  SumOf<T>* dbias) {
  using Sum = SumOf<T>;
  const auto g = [&](Index j) { return static_cast<Sum>(dy[j]) * static_cast<Sum>(weight[j]); };
  const auto xhat = [&](Index j) { return (static_cast<Sum>(x[j]) - mean) * rstd; };
  const Sum mean_g = lane_sum<Sum>(H, g) / static_cast<Sum>(H);
  const Sum mean_gx = lane_sum<Sum>(H, [&](Index j) { return g(j) * xhat(j); }) / static_cast<Sum>(H);
#pragma GCC ivdep
  for (Index j = 0; j < H; ++j) {
    const Sum hat = xhat(j), value = rstd * (g(j) - mean_g - hat * mean_gx);
    dweight[j] += static_cast<Sum>(dy[j]) * hat;
    dbias[j] += static_cast<Sum>(dy[j]);
    dx[j] = static_cast<T>(value);
  }
}

template <class T>
void forward(Stream& stream, const LayerNormForward& p) {
  using Sum = SumOf<T>;
  const Index rows = p.x.size(0), H = p.x.size(1), S = p.what.drops() ? rows / p.what.samples.elements() : 1;
  const T *x = p.x.as<const T>(), *residual = p.residual.given() ? p.residual.as<const T>() : nullptr;
  Sum *mean = p.mean.given() ? p.mean.as<Sum>() : nullptr, *rstd = p.rstd.given() ? p.rstd.as<Sum>() : nullptr;
  stream.pool().run((rows + row_block - 1) / row_block, [&](Index task, int) {
    for (Index r = task * row_block; r < std::min(rows, (task + 1) * row_block); ++r) {
      const T* normed = x + r * H;
      if (residual != nullptr) {
        T* sum = p.sum.as<T>() + r * H;
        if (p.what.drops())
          add_dropped_row<T>({p.what, r / S, 0}, r % S, normed, residual + r * H, H, sum);
        else
          add_row(normed, residual + r * H, H, sum);
        normed = sum;
      }
      norm_row(normed, p.weight.as<const T>(), p.bias.as<const T>(), H, static_cast<Sum>(p.eps), p.y.as<T>() + r * H,
               mean != nullptr ? mean + r : nullptr, mean != nullptr ? rstd + r : nullptr);
    }
  });
}

template <class T>
void backward(Stream& stream, const LayerNormBackward& p, SumOf<T>* partial) {
  using Sum = SumOf<T>;
  const Index rows = p.x.size(0), H = p.x.size(1), blocks = (rows + row_block - 1) / row_block;
  const Index S = p.what.drops() ? rows / p.what.samples.elements() : 1;
  stream.pool().run(blocks, [&](Index task, int) {
    Sum* sum = partial + task * 2 * H;
    std::fill_n(sum, 2 * H, Sum{0});
    for (Index r = task * row_block; r < std::min(rows, (task + 1) * row_block); ++r) {
      T* dsum = p.dsum.as<T>() + r * H;
      backward_row(p.dy.as<const T>() + r * H, p.x.as<const T>() + r * H, p.weight.as<const T>(), H, p.mean.as<const Sum>()[r],
                   p.rstd.as<const Sum>()[r], dsum, sum, sum + H);
      if (!p.dx.given()) continue;
      T* dx = p.dx.as<T>() + r * H;
      for_factors(DropoutFactors<Sum>(p.what, r / S, 0), r % S, H, [&](Index first, Index count, const Sum* factors) {
#pragma GCC ivdep
        for (Index j = 0; j < count; ++j) dx[first + j] = static_cast<T>(static_cast<Sum>(dsum[first + j]) * factors[j]);
      });
    }
  });
  sum_rows(stream, partial, 2 * H, blocks, H, p.dweight.as<Sum>(), p.write);
  sum_rows(stream, partial + H, 2 * H, blocks, H, p.dbias.as<Sum>(), p.write);
  const View& dx = p.dx.given() ? p.dx : p.dsum;
  if (p.dx_sums.given()) sum_rows(stream, dx.as<const T>(), H, rows, H, p.dx_sums.as<Sum>(), p.write);
}

}  // namespace

std::int64_t layer_norm_workspace(std::int64_t rows, std::int64_t H, DType type, bool /*dx_sums*/) {
  return (rows + row_block - 1) / row_block * 2 * H * static_cast<Index>(size_of(sum_type(type)));
}

void layer_norm_forward(Stream& stream, const LayerNormForward& pass) {
  with_float_type("layer_norm_forward", pass.x.type(), [&](auto element) { forward<decltype(element)>(stream, pass); });
}

void layer_norm_backward(Stream& stream, const LayerNormBackward& pass, void* workspace) {
  with_float_type("layer_norm_backward", pass.x.type(), [&](auto element) {
    using T = decltype(element);
    backward<T>(stream, pass, static_cast<SumOf<T>*>(workspace));
  });
}

}  // namespace strata::cpu
