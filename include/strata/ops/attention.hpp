#pragma once
// Attention with grouped key/value heads, causal or bidirectional, never storing the S x S scores (Dao et al. 2022; Dao 2023 for the
// backward pass).
#include "strata/device/stream.hpp"
#include "strata/ops/dropout.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// o_i = sum_j p_ij v_j,  p_i = softmax_j(scale q_i k_j) over the keys j with first_key[i] <= j <= i.
/// Query head h reads key/value head h / (nh / nkv).
/// [in] q [B,S,nh,hd]  [in] k, v [B,S,nkv,hd], outer dimensions may be strided (slices of one product)  [in] first_key i32 [B,S] or not
/// given (0) [out] o [B,S,nh,hd], may be strided  [out] lse [B,nh,S] f32 (f64): log of the sum of exponentials, kept for backward; may be
/// not given. dtype: all f32, bf16 or f64; scores and sums in f32 (f64). Cut by shape into blocks of queries and keys. Same bits on every
/// run. Local.
void attention_forward(Stream& stream, ConstView q, ConstView k, ConstView v, ConstView first_key, double scale, View o, View lse);

/// With D_i = dout_i o_i and ds_ij = p_ij (dout_i v_j - D_i):  dq_i = scale sum_j ds_ij k_j,  dk_j = scale sum_i ds_ij q_i,  dv_j = sum_i
/// p_ij dout_i; dk, dv summed over the query heads of a group in order. All outputs are set; dq, dk, dv may be strided. Types as forward.
/// Local.
void attention_backward(Stream& stream, ConstView dout, ConstView q, ConstView k, ConstView v, ConstView o, ConstView lse,
                        ConstView first_key, double scale, View dq, View dk, View dv);

/// Bidirectional, as encoders use it:  o_i = sum_j factor_ij p_ij v_j,  p_i = softmax_j(scale q_i k_j) over the keys j < lengths[b], for
/// every query of the sequence, padding or not. factor is 0 or 1 / (1 - p'): the dropout of probabilities (dropout.hpp), drawn for query
/// head, row i and column j.  [in] lengths i32 [B], 0 .. S, or not given (S). Everything else as attention_forward. Local.
void bidirectional_attention_forward(Stream& stream, ConstView q, ConstView k, ConstView v, ConstView lengths, const Dropout& what,
                                     double scale, View o, View lse);

/// With D_i = dout_i o_i and ds_ij = p_ij (factor_ij dout_i v_j - D_i):  dq_i = scale sum_j ds_ij k_j,  dk_j = scale sum_i ds_ij q_i,
/// dv_j = sum_i factor_ij p_ij dout_i. The factors are drawn again. Everything else as attention_backward. Local.
void bidirectional_attention_backward(Stream& stream, ConstView dout, ConstView q, ConstView k, ConstView v, ConstView o, ConstView lse,
                                      ConstView lengths, const Dropout& what, double scale, View dq, View dk, View dv);

/// One new query per sequence against a cache:  o_b = sum_j p_bj v_bj over 0 <= j < lengths[b].
/// [in] q [B,nh,hd]  [in] k_cache, v_cache [B,C,nkv,hd]  [in] lengths i32 [B], 1 .. C  [out] o [B,nh,hd]. Types as forward. Local.
void attention_decode(Stream& stream, ConstView q, ConstView k_cache, ConstView v_cache, ConstView lengths, double scale, View o);

}  // namespace strata
