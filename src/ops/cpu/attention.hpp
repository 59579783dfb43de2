#pragma once
// Attention on the host, causal and bidirectional; shapes and types are checked by the front (ops/attention.cpp).
#include "ops/attention_pass.hpp"
#include "strata/device/stream.hpp"

namespace strata::cpu {

void attention_forward(Stream& stream, const AttentionForward& pass);

/// Bytes of workspace: D [B,nh,S], and in bf16 the f32 sums of dq, dk and dv.
std::int64_t attention_backward_workspace(const ConstView& q, const ConstView& k);
void attention_backward(Stream& stream, const AttentionBackward& pass, void* workspace);

void attention_decode(Stream& stream, const ConstView& q, const ConstView& k_cache, const ConstView& v_cache, const ConstView& lengths,
                      double scale, const View& o);

}  // namespace strata::cpu
