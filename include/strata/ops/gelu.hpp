#pragma once
// GELU (Hendrycks and Gimpel 2016), exact and in its tanh form.
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// Which of the two: `erf` is what config.json calls gelu, `tanh` gelu_new, gelu_pytorch_tanh and gelu_fast.
enum class Gelu { erf, tanh };

/// erf:  y = x Phi(x),  Phi(x) = (1 + erf(x / sqrt 2)) / 2.   tanh:  y = x / (1 + exp(-2u)),  u = sqrt(2 / pi) (x + 0.044715 x^3),
/// which is x (1 + tanh u) / 2.  [in] x [R,F]  [out] y [R,F], may be x. The bias belongs to the product before (linear_forward).
/// dtype: f32, bf16, f64; arithmetic in f32 (f64), one rounding. Contiguous. Local.
void gelu_forward(Stream& stream, ConstView x, Gelu kind, View y);

/// erf:  dx = dy (Phi(x) + x phi(x)),  phi the normal density.   tanh, with s = 1 / (1 + exp(-2u)):  dx = dy (s + 2 x s (1 - s) u'),
/// u' = sqrt(2 / pi) (1 + 3 * 0.044715 x^2).  [in] dy, x [R,F]  [out] dx [R,F], may be dy or x. Types as forward.
/// dbias (=|+=) sum over rows of dx, the gradient of the bias of the product before.  [out] dbias [F], f32 (f64), or not given: the sum
/// that linear_backward_weight would form (on the host with its bits), in the pass that makes dx. Local.
void gelu_backward(Stream& stream, ConstView dy, ConstView x, Gelu kind, View dx, View dbias = View(), Write write = Write::set);

}  // namespace strata
