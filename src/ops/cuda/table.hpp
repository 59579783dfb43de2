#pragma once
// The ops of the CUDA half by name, as fronts call them: each is declared in its own header beside this one and defined in the .cu file of
// that name, which only the shared object holds.
#include "ops/cuda/adamw.hpp"
#include "ops/cuda/attention.hpp"
#include "ops/cuda/attention_cudnn.hpp"
#include "ops/cuda/cross_entropy.hpp"
#include "ops/cuda/dropout.hpp"
#include "ops/cuda/elementwise.hpp"
#include "ops/cuda/embedding.hpp"
#include "ops/cuda/gelu.hpp"
#include "ops/cuda/kv_cache.hpp"
#include "ops/cuda/layer_norm.hpp"
#include "ops/cuda/linear.hpp"
#include "ops/cuda/qk_norm_rope.hpp"
#include "ops/cuda/rms_norm.hpp"
#include "ops/cuda/rope.hpp"
#include "ops/cuda/span_head.hpp"
#include "ops/cuda/swiglu.hpp"
#include "strata/device/gpu.hpp"

namespace strata::cuda {

struct OpTable {
  decltype(cuda::adamw_update)* adamw_update;
  decltype(cuda::add_into)* add_into;
  decltype(cuda::attention_backward)* attention_backward;
  decltype(cuda::attention_decode)* attention_decode;
  decltype(cuda::attention_forward)* attention_forward;
  decltype(cuda::cast)* cast;
  decltype(cuda::dropout)* dropout;
  decltype(cuda::embedding_backward)* embedding_backward;
  decltype(cuda::embedding_forward)* embedding_forward;
  decltype(cuda::embedding_sum_forward)* embedding_sum_forward;
  decltype(cuda::fill)* fill;
  decltype(cuda::fused_attention_refusal)* fused_attention_refusal;
  decltype(cuda::fused_attention_version)* fused_attention_version;
  decltype(cuda::gelu_backward)* gelu_backward;
  decltype(cuda::gelu_forward)* gelu_forward;
  decltype(cuda::join_master)* join_master;
  decltype(cuda::layer_norm_backward)* layer_norm_backward;
  decltype(cuda::layer_norm_forward)* layer_norm_forward;
  decltype(cuda::linear_backward_bias)* linear_backward_bias;
  decltype(cuda::linear_cross_entropy_backward)* linear_cross_entropy_backward;
  decltype(cuda::linear_cross_entropy_forward)* linear_cross_entropy_forward;
  decltype(cuda::qk_norm_rope_backward)* qk_norm_rope_backward;
  decltype(cuda::qk_norm_rope_forward)* qk_norm_rope_forward;
  decltype(cuda::rms_norm_backward)* rms_norm_backward;
  decltype(cuda::rms_norm_forward)* rms_norm_forward;
  decltype(cuda::rope_rotate)* rope_rotate;
  decltype(cuda::span_cross_entropy)* span_cross_entropy;
  decltype(cuda::span_logits_backward)* span_logits_backward;
  decltype(cuda::span_logits_forward)* span_logits_forward;
  decltype(cuda::split_master)* split_master;
  decltype(cuda::store_rows)* store_rows;
  decltype(cuda::sum_of_squares)* sum_of_squares;
  decltype(cuda::swiglu_backward)* swiglu_backward;
  decltype(cuda::swiglu_forward)* swiglu_forward;
};

/// The table of the loaded CUDA half.
inline const OpTable& ops() {
  return *static_cast<const OpTable*>(cuda_half().ops);
}

}  // namespace strata::cuda

namespace strata {

/// Runs an op where the stream is: on_cpu(stream, arguments...), or the table's entry with the same.
template <class... P, class... A>
void run_op(Stream& stream, void (*on_cpu)(Stream&, P...), void (*cuda::OpTable::*on_cuda)(Stream&, P...), A&&... arguments) {
  if (stream.on_gpu())
    (cuda::ops().*on_cuda)(stream, arguments...);
  else
    on_cpu(stream, arguments...);
}

}  // namespace strata
