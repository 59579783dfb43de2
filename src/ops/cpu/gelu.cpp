// GELU on the host: one vector loop per block; in bf16, whose numbers are few, a look-up of what that loop would compute.
#include "ops/cpu/gelu.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include "ops/cpu/blocks.hpp"
#include "ops/cpu/element.hpp"
#include "ops/cpu/row_sum.hpp"
#include "ops/cpu/vector_math.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

/// Phi(x), and e = exp(-x^2 / 2), which its slope needs too.
template <class Sum>
struct Normal {
  Sum below, e;
};

/// Phi(-|x|) = e t P(t),  t = 1 / (1 + 0.24 |x|): P a Chebyshev fit of degree 9 for |x| <= 14, relative error 4.4e-9 (beyond, e is below
/// the smallest normal number). So both tails keep their relative precision.
inline Normal<float> normal_of(float x) {
  const float size = std::min(std::abs(x), 14.0F), t = 1.0F / std::fma(0.24F, size, 1.0F), e = exp_f32(-0.5F * size * size);
  float p = 0.02513926431198476F;
  p = std::fma(p, t, -0.12252917951588238F);
  p = std::fma(p, t, 0.20050080535305145F);
  p = std::fma(p, t, -0.13759284214817766F);
  p = std::fma(p, t, 0.13585619634630824F);
  p = std::fma(p, t, 0.03118686719323999F);
  p = std::fma(p, t, 0.08670112991600368F);
  p = std::fma(p, t, 0.08916524169557505F);
  p = std::fma(p, t, 0.09582895539505493F);
  p = std::fma(p, t, 0.0957435625686357F);
  const float tail = e * t * p;
  return {x < 0.0F ? tail : 1.0F - tail, e};
}
inline Normal<double> normal_of(double x) {
  return {0.5 * std::erfc(-x * (std::numbers::sqrt2 / 2)), std::exp(-0.5 * x * x)};
}

struct Erf {
  template <class Sum>
  static Sum value(Sum x) {
    return x * normal_of(x).below;
  }
  template <class Sum>
  static Sum slope(Sum x) {
    const Normal<Sum> n = normal_of(x);
    return std::fma(x * Sum(std::numbers::inv_sqrtpi / std::numbers::sqrt2), n.e, n.below);
  }
};

struct Tanh {
  static constexpr double twice = 2 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;  // 2 sqrt(2 / pi)
  template <class Sum>
  static Sum value(Sum x) {
    return x / (Sum(1) + exp_of(-Sum(twice) * x * std::fma(Sum(0.044715) * x, x, Sum(1))));
  }
  /// With e = exp(-|2u|): s (1 - s) = e / (1 + e)^2, without a difference of nearly equal numbers.
  template <class Sum>
  static Sum slope(Sum at) {
    const Sum x = std::clamp(at, Sum(-40), Sum(40));  // beyond, s is 0 or 1; the square must not become infinite
    const Sum e = exp_of(-Sum(twice) * std::abs(x) * std::fma(Sum(0.044715) * x, x, Sum(1))), inverse = Sum(1) / (Sum(1) + e);
    const Sum s = x < Sum(0) ? e * inverse : inverse, inner = Sum(twice) * std::fma(Sum(3 * 0.044715) * x, x, Sum(1));
    return std::fma(x * e * inverse * inverse, inner, s);
  }
};

/// What a function gives for each of the 65,536 numbers of bf16. Those that occur, a few thousand, stay in the first cache.
template <class Out, class Function>
std::array<Out, 65536> tabulated(Function&& function) {
  std::array<Out, 65536> table{};
  for (std::size_t i = 0; i < table.size(); ++i)
    table[i] = static_cast<Out>(function(static_cast<float>(BFloat16::from_bits(static_cast<std::uint16_t>(i)))));
  return table;
}
template <class Kind>
const BFloat16* table_of_values() {
  static const auto table = tabulated<BFloat16>([](float x) { return Kind::value(x); });
  return table.data();
}
template <class Kind>
const float* table_of_slopes() {
  static const auto table = tabulated<float>([](float x) { return Kind::slope(x); });
  return table.data();
}

template <class T, class Kind>
void forward(Stream& stream, const ConstView& x, const View& y) {
  const T* from = x.as<const T>();
  T* to = y.as<T>();
  if constexpr (std::is_same_v<T, BFloat16>) {
    const BFloat16* table = table_of_values<Kind>();
    for_blocks(stream, x.elements(), [=](Index first, Index last) {
#pragma GCC ivdep
      for (Index i = first; i < last; ++i) to[i] = table[from[i].bits];
    });
  } else {
    for_blocks(stream, x.elements(), [=](Index first, Index last) {
#pragma GCC ivdep
      for (Index i = first; i < last; ++i) to[i] = Kind::value(from[i]);
    });
  }
}

template <class T, class Kind>
void backward(Stream& stream, const ConstView& dy, const ConstView& x, const View& dx) {
  const T *from = x.as<const T>(), *outer = dy.as<const T>();
  T* to = dx.as<T>();
  if constexpr (std::is_same_v<T, BFloat16>) {
    const float* table = table_of_slopes<Kind>();
    for_blocks(stream, x.elements(), [=](Index first, Index last) {
#pragma GCC ivdep
      for (Index i = first; i < last; ++i) to[i] = static_cast<T>(static_cast<float>(outer[i]) * table[from[i].bits]);
    });
  } else {
    for_blocks(stream, x.elements(), [=](Index first, Index last) {
#pragma GCC ivdep
      for (Index i = first; i < last; ++i) to[i] = outer[i] * Kind::slope(from[i]);
    });
  }
}

}  // namespace

void gelu_forward(Stream& stream, const ConstView& x, Gelu kind, const View& y) {
  with_float_type("gelu_forward", x.type(), [&](auto element) {
    using T = decltype(element);
    kind == Gelu::erf ? forward<T, Erf>(stream, x, y) : forward<T, Tanh>(stream, x, y);
  });
}

void gelu_backward(Stream& stream, const ConstView& dy, const ConstView& x, Gelu kind, const View& dx, const View& dbias, Write write,
                   void* /*workspace*/) {
  with_float_type("gelu_backward", x.type(), [&](auto element) {
    using T = decltype(element);
    kind == Gelu::erf ? backward<T, Erf>(stream, dy, x, dx) : backward<T, Tanh>(stream, dy, x, dx);
    if (dbias.given()) sum_rows(stream, dx.as<const T>(), dx.stride(0), dx.size(0), dx.size(1), dbias.as<SumOf<T>>(), write);
  });
}

}  // namespace strata::cpu
