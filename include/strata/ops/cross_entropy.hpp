#pragma once
// The language-model head with its loss: logits exist for a few rows at a time only.
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"
#include "strata/ops/factor.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// Loss of each row: l_r = logsumexp_v(z_rv) - z_r,label(r),  z = x W^T;  0 where label(r) < 0 (semantics S6: -100).
/// [in] x [R,H]  [in] weight [V,H]  [in] labels i32 [R]  [out] row_loss f64 [R]. dtype x, weight: f32, bf16, f64; logits and sums in f32
/// (f64); on a GPU the logits of bf16 are rounded to it. Rows are taken in chunks fixed by V (on a GPU also by the type), so that about
/// 2^27 logits (on a GPU 2 GiB of them) exist at once. Same bits on every run. Local.
void linear_cross_entropy_forward(Stream& stream, ConstView x, ConstView weight, ConstView labels, View row_loss);

/// Forward and backward in one pass:  dz_rv = scale (softmax(z_r)_v - [v = label(r)]), 0 where label(r) < 0;  dx = dz W;  dW (=|+=) dz^T x.
/// [out] dx [R,H], type of x, may be x  [out] dweight [V,H] f32 (f64). In bf16 dz is rounded to bf16 for the products. `scale` is 1 /
/// counted tokens of the step. Local.
void linear_cross_entropy_backward(Stream& stream, ConstView x, ConstView weight, ConstView labels, Factor scale, View row_loss, View dx,
                                   View dweight, Write write);

}  // namespace strata
