#pragma once
// Attention on the host, causal and bidirectional; shapes and types are checked by the front (ops/attention.cpp).
#include "strata/device/stream.hpp"
#include "strata/ops/dropout.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cpu {

/// Which pairs of query and key count, and what is dropped of their probabilities.
struct AttentionMask {
  bool causal = true;
  ConstView keys;  // causal: first_key [B,S]; else lengths [B]; may be not given
  Dropout what;
};

/// Inputs and outputs of the forward pass, named as in strata/ops/attention.hpp.
struct AttentionForward {
  ConstView q, k, v;
  AttentionMask mask;
  double scale;
  View o, lse;
};
void attention_forward(Stream& stream, const AttentionForward& pass);

/// Of the backward pass.
struct AttentionBackward {
  ConstView dout, q, k, v, o, lse;
  AttentionMask mask;
  double scale;
  View dq, dk, dv;
};
/// Bytes of workspace: D [B,nh,S], and in bf16 the f32 sums of dq, dk and dv.
std::int64_t attention_backward_workspace(const ConstView& q, const ConstView& k);
void attention_backward(Stream& stream, const AttentionBackward& pass, void* workspace);

void attention_decode(Stream& stream, const ConstView& q, const ConstView& k_cache, const ConstView& v_cache, const ConstView& lengths,
                      double scale, const View& o);

}  // namespace strata::cpu
