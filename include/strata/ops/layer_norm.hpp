#pragma once
// Layer normalisation (Ba et al. 2016), alone and with the dropout and residual addition before it.
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"
#include "strata/ops/dropout.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// y = (x - mean) * rstd * weight + bias,  rstd = 1 / sqrt(mean((x - mean)^2) + eps); means over the last dimension.
/// [in] x [R,H]  [in] weight, bias [H]  [out] y [R,H], may be x  [out] mean, rstd [R], f32 (f64), kept for the backward pass; may be not
/// given, both. dtype x, y, weight, bias: all f32, bf16 or f64; sums in f32 (f64) in a fixed order, one rounding at the end, as PyTorch
/// does. Contiguous. Same bits on every run. Local.
void layer_norm_forward(Stream& stream, ConstView x, ConstView weight, ConstView bias, double eps, View y, View mean, View rstd);

/// sum = residual + dropout(x), rounded once;  y = layer_norm(sum).   [in] x, residual [R,H]  [out] sum [R,H], may be x or residual
/// [out] y [R,H]. Everything else as layer_norm_forward; the mask as in dropout.hpp. Local.
void add_layer_norm_forward(Stream& stream, ConstView x, ConstView residual, const Dropout& what, ConstView weight, ConstView bias,
                            double eps, View sum, View y, View mean, View rstd);

/// With xhat = (x - mean) rstd and g = dy * weight:  dx = rstd (g - mean(g) - xhat mean(g xhat)),  dweight = sum over rows of dy * xhat,
/// dbias = sum over rows of dy. dx is set, the others as `write` says.  [in] dy, x [R,H]  [in] mean, rstd as forward wrote them  [out] dx
/// [R,H], may be dy  [out] dweight, dbias [H], f32 (f64): rows summed in fixed blocks, folded in order. Local.
void layer_norm_backward(Stream& stream, ConstView dy, ConstView x, ConstView weight, ConstView mean, ConstView rstd, View dx, View dweight,
                         View dbias, Write write = Write::set);

/// The backward pass of add_layer_norm: dsum = layer_norm'(dy) is the residual's gradient, dx = dropout(dsum) that of x.
/// [in] sum [R,H] as forward wrote it  [out] dsum [R,H], may be dy  [out] dx [R,H], given exactly where something drops; elsewhere it would
/// be dsum  [out] dx_sums [H], f32 (f64), or not given: sum over rows of x's gradient, which is the gradient of the bias of the product
/// that made x: the sum that linear_backward_weight would form (on the host with its bits), in the pass that makes dx. Everything else as
/// layer_norm_backward. Local.
void add_layer_norm_backward(Stream& stream, ConstView dy, ConstView sum, const Dropout& what, ConstView weight, ConstView mean,
                             ConstView rstd, View dsum, View dx, View dweight, View dbias, View dx_sums = View(), Write write = Write::set);

}  // namespace strata
