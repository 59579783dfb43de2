#pragma once
// Embedding look-up and its gradient.
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// y_r = W[ids_r].   [in] ids i32 [R], each in [0, V) (checked by the loader)  [in] weight [V,H]  [out] y [R,H]. dtype: f32, bf16, f64.
/// Local.
void embedding_forward(Stream& stream, ConstView ids, ConstView weight, View y);

/// dW (=|+=) for each id the sum of dy_r over its rows r, in f32 (f64) in order of r; with set, rows of other ids become zero.
/// With add: the sum of an id is formed first, then added to what is there.  [in] dy [R,H]  [out] dweight [V,H] f32 (f64). No atomics; same
/// bits on every run. Local.
void embedding_backward(Stream& stream, ConstView dy, ConstView ids, View dweight, Write write);

}  // namespace strata
