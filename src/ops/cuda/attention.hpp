#pragma once
// Attention on the GPU, causal and bidirectional; shapes and types are checked by the front (ops/attention.cpp). Head sizes up to 256.
#include "ops/attention_pass.hpp"
#include "strata/device/stream.hpp"

namespace strata::cuda {

/// `workspace`: as fused_forward_workspace() says where fused_attention_takes() the call (attention_cudnn.hpp), otherwise none.
void attention_forward(Stream& stream, const AttentionForward& pass, void* workspace);

/// Queries whose range of keys the backward pass keeps as one.
constexpr std::int64_t attention_range_rows = 64;
/// Bytes of workspace: those ranges, then D [B,nh,S] in f32 (f64).
inline std::int64_t attention_backward_workspace(const ConstView& q) {
  const std::int64_t B = q.size(0), S = q.size(1), blocks = (S + attention_range_rows - 1) / attention_range_rows;
  return B * blocks * 16 + B * q.size(2) * S * (q.type() == DType::f64 ? 8 : 4);
}
/// `workspace` has as much as fused_backward_workspace() says, too, where fused_attention_takes() the call.
void attention_backward(Stream& stream, const AttentionBackward& pass, void* workspace);

/// Keys of the cache that one block takes: sums are formed in pieces of as many, and joined in order.
constexpr std::int64_t attention_decode_piece = 128;
/// Bytes of workspace: largest score, mass and sum of values of each piece and query head, in f32 (f64).
inline std::int64_t attention_decode_workspace(const ConstView& q, const ConstView& k_cache) {
  const std::int64_t pieces = (k_cache.size(1) + attention_decode_piece - 1) / attention_decode_piece;
  return q.size(0) * q.size(1) * pieces * (q.size(2) + 2) * (q.type() == DType::f64 ? 8 : 4);
}
void attention_decode(Stream& stream, const ConstView& q, const ConstView& k_cache, const ConstView& v_cache, const ConstView& lengths,
                      double scale, const View& o, void* workspace);

}  // namespace strata::cuda
