// GELU by packs of 16 bytes, its gradient with the sums over rows that the bias before it needs; the formulas are those of the host's
// (ops/cpu/gelu.cpp), which keep both tails' relative precision.
#include "ops/cuda/gelu.hpp"

#include "ops/cuda/exact.cuh"
#include "ops/cuda/flat.cuh"
#include "ops/cuda/row_sums.cuh"

namespace strata::cuda {
namespace {

constexpr double sqrt_half = 0.70710678118654752440, inv_sqrt_2pi = 0.39894228040143267794;

__device__ __forceinline__ float exp_of(float x) {
  return expf(x);
}
__device__ __forceinline__ double exp_of(double x) {
  return exp(x);
}
__device__ __forceinline__ float size_of_number(float x) {
  return fabsf(x);
}
__device__ __forceinline__ double size_of_number(double x) {
  return fabs(x);
}

/// Phi(x), and e = exp(-x^2 / 2), which its slope needs too.
template <class S>
struct Normal {
  S below, e;
};

/// Phi(-|x|) = e t P(t),  t = 1 / (1 + 0.24 |x|): P a Chebyshev fit of degree 9 for |x| <= 14, relative error 4.4e-9. NaN stays NaN.
__device__ __forceinline__ Normal<float> normal_of(float x) {
  float size = fabsf(x);
  size = size > 14.0f ? 14.0f : size;
  const float t = 1.0f / fmaf(0.24f, size, 1.0f), e = expf(product(product(-0.5f, size), size));
  float p = 0.02513926431198476f;
  p = fmaf(p, t, -0.12252917951588238f);
  p = fmaf(p, t, 0.20050080535305145f);
  p = fmaf(p, t, -0.13759284214817766f);
  p = fmaf(p, t, 0.13585619634630824f);
  p = fmaf(p, t, 0.03118686719323999f);
  p = fmaf(p, t, 0.08670112991600368f);
  p = fmaf(p, t, 0.08916524169557505f);
  p = fmaf(p, t, 0.09582895539505493f);
  p = fmaf(p, t, 0.0957435625686357f);
  const float tail = product(product(e, t), p);
  return {x < 0.0f ? tail : difference(1.0f, tail), e};
}
__device__ __forceinline__ Normal<double> normal_of(double x) {
  return {0.5 * erfc(-x * sqrt_half), exp(-0.5 * x * x)};
}

struct Erf {
  template <class S>
  __device__ static S value(S x) {
    return product(x, normal_of(x).below);
  }
  template <class S>
  __device__ static S slope(S x) {
    const Normal<S> n = normal_of(x);
    return fused(product(x, S(inv_sqrt_2pi)), n.e, n.below);
  }
};

struct Tanh {
  static constexpr double twice = 4 * inv_sqrt_2pi;  // 2 sqrt(2 / pi)
  template <class S>
  __device__ static S value(S x) {
    const S u2 = product(product(S(-twice), x), fused(product(S(0.044715), x), x, S(1)));
    return x / sum(S(1), exp_of(u2));
  }
  /// With e = exp(-|2u|): s (1 - s) = e / (1 + e)^2, without a difference of nearly equal numbers. Beyond 40, s is 0 or 1; the square must
  /// not become infinite.
  template <class S>
  __device__ static S slope(S at) {
    const S x = at > S(40) ? S(40) : at < S(-40) ? S(-40) : at;
    const S e = exp_of(product(product(S(-twice), size_of_number(x)), fused(product(S(0.044715), x), x, S(1))));
    const S inverse = S(1) / sum(S(1), e), s = x < S(0) ? product(e, inverse) : inverse;
    const S inner = product(S(twice), fused(product(S(3 * 0.044715), x), x, S(1)));
    return fused(product(product(x, e), product(inverse, inverse)), inner, s);
  }
};

template <class T, class Kind>
struct Values {
  static constexpr int at_once = 2;
  const T* x;
  T* y;

  template <int N>
  __device__ Group<T, N> load(std::int64_t i) const {
    return load_group<N>(x + i);
  }
  template <int N>
  __device__ void store(std::int64_t i, Group<T, N> group) const {
#pragma unroll
    for (int e = 0; e < N; ++e) group.of[e] = narrow<T>(Kind::value(widen(group.of[e])));
    store_group<N>(y + i, group);
  }
};

/// dx, whose sums over rows are the gradient of the bias before.
template <class T, class Kind>
struct Slopes {
  static constexpr int rows_at_once = 2;
  struct Loaded {
    Pack<T> dy, x;
  };
  const T *dy, *x;
  T* dx;
  std::int64_t F;

  template <bool whole>
  __device__ __forceinline__ Loaded load(std::int64_t row, int p, int columns) const {
    return {load_of_row<whole>(dy + row * F, p, columns), load_of_row<whole>(x + row * F, p, columns)};
  }
  template <bool whole>
  __device__ __forceinline__ Pack<T> finish(std::int64_t row, int p, int columns, const Loaded& a) const {
    Pack<T> to;
#pragma unroll
    for (int e = 0; e < pack_size<T>; ++e) to.of[e] = narrow<T>(product(widen(a.dy.of[e]), Kind::slope(widen(a.x.of[e]))));
    store_of_row<whole>(dx + row * F, p, columns, to);
    return to;
  }
};

template <class T, class Kind>
void forward(Stream& stream, const ConstView& x, const View& y) {
  constexpr int W = pack_size<T>;
  const Values<T, Kind> work{data_of<T>(x), data_of<T>(y)};
  run_flat<W>(stream, x.elements(), aligned_for<W>(work.x) && aligned_for<W>(work.y), work);
}

template <class T, class Kind>
void backward(Stream& stream, const ConstView& dy, const ConstView& x, const View& dx, const View& dbias, Write write, void* workspace) {
  const std::int64_t F = x.size(1);
  const Slopes<T, Kind> work{data_of<T>(dy), data_of<T>(x), data_of<T>(dx), F};
  const bool packed = packs(work.dy, F, F) && packs(work.x, F, F) && packs(work.dx, F, F);
  run_row_sums<T>(stream, work, x.type(), x.size(0), F, packed, dbias.given() ? data_of<SumOf<T>>(dbias) : nullptr, write, workspace);
}

}  // namespace

void gelu_forward(Stream& stream, const ConstView& x, Gelu kind, const View& y) {
  with_float_type("gelu_forward", x.type(), [&](auto element) {
    using T = decltype(element);
    kind == Gelu::erf ? forward<T, Erf>(stream, x, y) : forward<T, Tanh>(stream, x, y);
  });
}

void gelu_backward(Stream& stream, const ConstView& dy, const ConstView& x, Gelu kind, const View& dx, const View& dbias, Write write,
                   void* workspace) {
  with_float_type("gelu_backward", x.type(), [&](auto element) {
    using T = decltype(element);
    kind == Gelu::erf ? backward<T, Erf>(stream, dy, x, dx, dbias, write, workspace)
                      : backward<T, Tanh>(stream, dy, x, dx, dbias, write, workspace);
  });
}

}  // namespace strata::cuda
