#pragma once
// cuDNN's fused attention, the second candidate beside our own kernels (device.attention = cudnn, doc/cuda.md): which calls it takes, and
// how much workspace they may have. What needs cuDNN itself is in attention_cudnn.cu.
#include <algorithm>
#include <string>

#include "ops/attention_pass.hpp"
#include "strata/device/stream.hpp"
#include "strata/ops/cudnn_attention.hpp"

namespace strata::cuda {

/// Whether cuDNN computes this call, by what a plan knows of it: type, shape and mask. All else stays with our own kernels.
inline bool fused_attention_takes(const ConstView& q, const AttentionMask& mask) {
  return cudnn_takes_attention(q.type(), q.size(1), q.size(3)) && !mask.what.drops() && !(mask.causal && mask.keys.given());
}
inline bool fused_attention_takes(const Stream& stream, const ConstView& q, const AttentionMask& mask) {
  return stream.attention() == AttentionKernels::cudnn && stream.target() == DeviceKind::cuda && fused_attention_takes(q, mask);
}

/// Bytes of workspace: the lengths of queries i32 [B], and what cuDNN may have. Whether a plan of cuDNN fits is seen when it is made; those
/// that do not are not taken. Known without cuDNN, so that memory is foreseen on any machine.
inline std::int64_t fused_lengths_bytes(const ConstView& q) {
  return (q.size(0) * 4 + 255) / 256 * 256 + 256;  // what follows begins at a multiple of 256
}
constexpr std::int64_t fused_allowance = 64 << 10;
inline std::int64_t fused_forward_workspace(const ConstView& q) {
  return fused_lengths_bytes(q) + fused_allowance;
}
/// The backward pass whose bits repeat keeps the gradients of all scores (those without a fixed order would do with less); D [B,nh,S] in
/// f32; dk and dv of each query head where heads are grouped.
inline std::int64_t fused_backward_workspace(const ConstView& q, const ConstView& k) {
  const std::int64_t S = q.size(1), nh = q.size(2), hd = q.size(3), heads = q.size(0) * nh, padded = (S + 127) / 128 * 128;
  const std::int64_t scores = std::max(2 * heads * padded * padded, 4 * heads * S * hd);
  return fused_lengths_bytes(q) + scores + 4 * heads * S + (k.size(2) < nh ? 4 * heads * S * hd : 0) + fused_allowance;
}

/// As cudnn_attention_refusal() and cudnn_attention_version().
std::string fused_attention_refusal(Gpu* gpu, const AttentionRun* run);
std::string fused_attention_version();

/// Whether the tensors of a call lie as cuDNN's kernels read them: rows at multiples of 16 bytes.
bool fused_attention_reads(const AttentionForward& pass);
bool fused_attention_reads(const AttentionBackward& pass);
/// The call, whose plan is made when its shape first comes and kept. Throws DeckError where cuDNN has none.
void fused_attention_forward(Stream& stream, const AttentionForward& pass, void* workspace);
void fused_attention_backward(Stream& stream, const AttentionBackward& pass, void* workspace);

/// i32 [count], all of them `value` (attention_prepare.cu).
void set_lengths(Stream& stream, int* lengths, std::int64_t count, std::int64_t value);

}  // namespace strata::cuda
