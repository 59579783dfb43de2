#pragma once
// Linear map: y = x W^T, its gradients, and its forms with bias and residual.
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// y = x W^T (+ bias) (+ residual).
/// [in] x [R,K], rows may be strided  [in] weight [N,K]  [in] bias [N] or not given  [in] residual [R,N] or not given, may be y  [out] y
/// [R,N] dtype: all f32, all bf16 or all f64; sums in f32 (f64), one rounding at the end. Same bits on every run. Local.
void linear_forward(Stream& stream, ConstView x, ConstView weight, ConstView bias, ConstView residual, View y);

/// dx (=|+=) dy W.   [in] dy [R,N]  [in] weight [N,K]  [out] dx [R,K].  dtypes as forward. Local.
void linear_backward_input(Stream& stream, ConstView dy, ConstView weight, View dx, Write write = Write::set);

/// dW (=|+=) dy^T x,  db (=|+=) sum over rows of dy.   [in] dy [R,N]  [in] x [R,K]  [out] dweight [N,K]  [out] dbias [N] or not given
/// dtype dy, x: f32, bf16, f64; gradients f32 (f64 from f64). Write::add adds the finished product to what is there. Local.
void linear_backward_weight(Stream& stream, ConstView dy, ConstView x, View dweight, View dbias, Write write);

}  // namespace strata
