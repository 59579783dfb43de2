#pragma once
// The ways that attention takes on the GPU: tensor cores for heads of up to 128 in bf16 and f16, plain kernels for all else.
#include "ops/cuda/attention.hpp"

namespace strata::cuda {

constexpr std::int64_t tensor_head_size = 128;

inline bool on_tensor_cores(const ConstView& q) {
  return (q.type() == DType::bf16 || q.type() == DType::f16) && q.size(3) <= tensor_head_size;
}

void attention_forward_tensor(Stream& stream, const AttentionForward& pass);
void attention_forward_plain(Stream& stream, const AttentionForward& pass);
void attention_backward_tensor(Stream& stream, const AttentionBackward& pass, void* workspace);
void attention_backward_plain(Stream& stream, const AttentionBackward& pass, void* workspace);

}  // namespace strata::cuda
