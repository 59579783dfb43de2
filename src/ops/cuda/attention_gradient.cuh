#pragma once
// Backward pass of attention: what its kernels share, and the two that prepare it (attention_prepare.cu).
#include <cuda_runtime.h>

#include "ops/cuda/attention.hpp"
#include "ops/cuda/attention_heads.cuh"

namespace strata::cuda {

template <class T>
struct GradientPass {
  Heads<const T> dout, q, k, v, o;
  Heads<T> dq, dk, dv;
  const SumOf<T>* lse;      // [B,nh,S]
  SumOf<T>* dots;           // D [B,nh,S]
  const KeyRanges* ranges;  // [B, ranges_per_sequence]: of attention_range_rows queries each
  Sight sight;
  DropoutWords words;
  int nh, nkv, hd, ranges_per_sequence;
  SumOf<T> scale, kept;
  bool packed_dout, packed_q, packed_k, packed_v, packed_o, packed_dq, packed_dk, packed_dv;

  __device__ __forceinline__ int group() const { return nh / nkv; }
  __device__ __forceinline__ std::int64_t at(std::int64_t b, int h, int i) const { return (b * nh + h) * sight.S + i; }
};

/// The pass, with workspace as attention_backward_workspace() counts it.
template <class T>
GradientPass<T> gradient_pass(const AttentionBackward& p, void* workspace) {
  const std::int64_t B = p.q.size(0), S = p.q.size(1), blocks = (S + attention_range_rows - 1) / attention_range_rows;
  return {heads_of<T>(p.dout),
          heads_of<T>(p.q),
          heads_of<T>(p.k),
          heads_of<T>(p.v),
          heads_of<T>(p.o),
          heads_of<T>(p.dq),
          heads_of<T>(p.dk),
          heads_of<T>(p.dv),
          data_of<SumOf<T>>(p.lse),
          reinterpret_cast<SumOf<T>*>(static_cast<unsigned char*>(workspace) + B * blocks * 16),
          static_cast<const KeyRanges*>(workspace),
          sight_of(p.mask, S),
          words_of(p.mask.what),
          static_cast<int>(p.q.size(2)),
          static_cast<int>(p.k.size(2)),
          static_cast<int>(p.q.size(3)),
          static_cast<int>(blocks),
          static_cast<SumOf<T>>(p.scale),
          static_cast<SumOf<T>>(kept_factor(p.mask.what)),
          rows_pack(p.dout),
          rows_pack(p.q),
          rows_pack(p.k),
          rows_pack(p.v),
          rows_pack(p.o),
          rows_pack(p.dq),
          rows_pack(p.dk),
          rows_pack(p.dv)};
}

/// Sets the pass's ranges and D_i = dout_i o_i.
template <class T>
void prepare_gradients(cudaStream_t queue, const GradientPass<T>& pass, std::int64_t B);

}  // namespace strata::cuda
