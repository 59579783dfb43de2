#pragma once
// The ways that attention takes on the GPU where it is not cuDNN's: tensor cores for heads of up to 128 in bf16 and f16, plain kernels for
// all else.
#include "ops/cuda/attention.hpp"

namespace strata::cuda {

constexpr std::int64_t tensor_head_size = 128;

inline bool on_tensor_cores(const ConstView& q) {
  return (q.type() == DType::bf16 || q.type() == DType::f16) && q.size(3) <= tensor_head_size;
}

/// Whether every row [hd] of a tensor [B,S,heads,hd] can be read or written by 16 bytes.
template <class AnyView>
bool rows_pack(const AnyView& view) {
  const std::int64_t pack = 16 / static_cast<std::int64_t>(size_of(view.type()));
  return reinterpret_cast<std::uintptr_t>(view.data()) % 16 == 0 && view.size(3) % pack == 0 && view.stride(0) % pack == 0 &&
         view.stride(1) % pack == 0 && view.stride(2) % pack == 0;
}

void attention_forward_tensor(Stream& stream, const AttentionForward& pass);
void attention_forward_plain(Stream& stream, const AttentionForward& pass);
void attention_backward_tensor(Stream& stream, const AttentionBackward& pass, void* workspace);
void attention_backward_plain(Stream& stream, const AttentionBackward& pass, void* workspace);

}  // namespace strata::cuda
