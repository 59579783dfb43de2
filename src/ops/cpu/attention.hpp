#pragma once
// Causal attention on the host; shapes and types are checked by the front (ops/attention.cpp).
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cpu {

void attention_forward(Stream& stream, const ConstView& q, const ConstView& k, const ConstView& v, const ConstView& first_key, double scale,
                       const View& o, const View& lse);

/// Inputs and outputs of the backward pass, named as in strata/ops/attention.hpp.
struct AttentionBackward {
  ConstView dout, q, k, v, o, lse, first_key;
  double scale;
  View dq, dk, dv;
};
/// Bytes of workspace: D [B,nh,S], and in bf16 the f32 sums of dq, dk and dv.
std::int64_t attention_backward_workspace(const ConstView& q, const ConstView& k);
void attention_backward(Stream& stream, const AttentionBackward& pass, void* workspace);

void attention_decode(Stream& stream, const ConstView& q, const ConstView& k_cache, const ConstView& v_cache, const ConstView& lengths,
                      double scale, const View& o);

}  // namespace strata::cpu
