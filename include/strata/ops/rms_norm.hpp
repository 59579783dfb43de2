#pragma once
// Root-mean-square normalisation (Zhang and Sennrich 2019), over the hidden size or over each head.
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// y = x * rstd * weight,  rstd = 1 / sqrt(mean(x^2) + eps); the mean is over the last dimension.
/// [in] x [..,H]: [R,H] or [R,n,H] (heads), outer dimensions may be strided  [in] weight [H]  [out] y, shape of x  [out] rstd [R] or [R,n],
/// contiguous, f32 (f64), kept for the backward pass; may be not given. dtype x, y, weight: all f32, bf16 or f64; x * rstd is rounded to
/// the type of x before the product with weight, as Hugging Face does. y may be x. Sums in f32 (f64) in a fixed order. Same bits on every
/// run. Local.
void rms_norm_forward(Stream& stream, ConstView x, ConstView weight, double eps, View y, View rstd);

/// With xhat = x rstd and g = dy * weight:  dx (=|+=) rstd (g - xhat mean(g xhat)),  dweight (=|+=) sum over rows of dy * xhat.
/// [in] dy, x as forward  [in] rstd as forward wrote it  [out] dx, shape of x, may be dy (with set)  [out] dweight [H], f32 (f64). Rows are
/// summed in fixed blocks, folded in order, in f32 (f64). Local.
void rms_norm_backward(Stream& stream, ConstView dy, ConstView x, ConstView weight, ConstView rstd, View dx, Write write_dx, View dweight,
                       Write write_dweight);

}  // namespace strata
