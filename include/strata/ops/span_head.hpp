#pragma once
// The question-answering head: two logits per token, and the loss of a span's two ends.
#include "strata/device/stream.hpp"
#include "strata/ops/factor.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// z_bcs = x_bs w_c + bias_c: the logits of token s of sequence b to be the first (c = 0) or last (c = 1) of the span.
/// [in] x [B S, H]  [in] weight [2,H]  [in] bias [2]  [out] logits [B,2,S], f32 (f64). dtype x, weight, bias: all f32, bf16 or f64; sums in
/// f32 (f64) in a fixed order. Contiguous. Local.
void span_logits_forward(Stream& stream, ConstView x, ConstView weight, ConstView bias, View logits);

/// dx = sum_c dz_c w_c,  dw_c = sum over tokens of dz_c x,  dbias_c = sum over tokens of dz_c. All set.
/// [in] dlogits [B,2,S]  [out] dx [B S, H], may be x  [out] dweight [2,H], dbias [2], f32 (f64): tokens summed in fixed blocks, folded in
/// order. Local.
void span_logits_backward(Stream& stream, ConstView dlogits, ConstView x, ConstView weight, View dx, View dweight, View dbias);

/// Loss of each end:  l_bc = w_c (logsumexp_s(z_bcs) - z_bc,label),  0 where the label lies outside 0 .. S-1 (an ignored position, a row
/// that counts nothing). All S tokens compete, padding too, as in Hugging Face. With n_c the labels that count, w_c = (n_0 + n_1) / (2
/// n_c): the sum of all l over n_0 + n_1 is then Hugging Face's loss, the mean of the two ends' mean cross entropies; w_c = 1 unless one
/// end is ignored more often than the other.  [in] logits [B,2,S]  [in] labels i32 [B,2]  [out] row_loss f64 [B,2]. Local.
void span_cross_entropy_forward(Stream& stream, ConstView logits, ConstView labels, View row_loss);

/// row_loss as above, and dz_bcs = scale w_c (softmax(z_bc)_s - [s = label]), 0 where the label does not count.
/// [out] dlogits [B,2,S], may be logits. Local.
void span_cross_entropy_backward(Stream& stream, ConstView logits, ConstView labels, Factor scale, View row_loss, View dlogits);

}  // namespace strata
