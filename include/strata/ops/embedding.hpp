#pragma once
// Embedding look-up and its gradient.
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// y_r = W[ids_r].   [in] ids i32 [R], each in [0, V) (checked by the loader)  [in] weight [V,H]  [out] y [R,H]. dtype: f32, bf16, f64.
/// Local.
void embedding_forward(Stream& stream, ConstView ids, ConstView weight, View y);

/// y_r = W[ids_r] + T[types_r] + P[r mod S], rounded once: word, type and position of row r, positions counted from 0 in each sequence of
/// S rows.  [in] ids, types i32 [R]  [in] words [V,H]  [in] types_table [n,H]  [in] positions [P,H], P >= S  [out] y [R,H], contiguous.
/// dtype: f32, bf16, f64; sums in f32 (f64). The gradients are three embedding_backward. Local.
void embedding_sum_forward(Stream& stream, ConstView ids, ConstView types, ConstView words, ConstView types_table, ConstView positions,
                           std::int64_t S, View y);

/// dW (=|+=) for each id the sum of dy_r over its rows r, in f32 (f64) in order of r; with set, rows of other ids become zero.
/// With add: the sum of an id is formed first, then added to what is there.  [in] dy [R,H]  [out] dweight [V,H] f32 (f64). No atomics; same
/// bits on every run. Local.
void embedding_backward(Stream& stream, ConstView dy, ConstView ids, View dweight, Write write);

}  // namespace strata
