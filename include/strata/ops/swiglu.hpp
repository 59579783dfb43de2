#pragma once
// SwiGLU (Shazeer 2020) on the output of the fused gate and up projection.
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// y = silu(g) * u,  silu(g) = g / (1 + exp(-g)).   [in] gate_up [R,2F]: g then u  [out] y [R,F]. dtype: f32, bf16, f64; arithmetic in f32
/// (f64), one rounding. Local.
void swiglu_forward(Stream& stream, ConstView gate_up, View y);

/// With s = 1/(1+exp(-g)):  dg = dy u s (1 + g (1 - s)),  du = dy g s.   [in] dy [R,F]  [in] gate_up [R,2F]  [out] dgate_up [R,2F], may be
/// gate_up. Local.
void swiglu_backward(Stream& stream, ConstView dy, ConstView gate_up, View dgate_up);

}  // namespace strata
