// The entry of the CUDA half: what the program finds in the shared object.
#include <string>

#include "comm/cuda/link.hpp"
#include "device/cuda/cuda_gpu.hpp"
#include "ops/cuda/table.hpp"
#include "strata/base/version.hpp"

namespace strata::cuda {
namespace {

const OpTable op_table = {
    .adamw_update = adamw_update,
    .add_into = add_into,
    .attention_backward = attention_backward,
    .attention_decode = attention_decode,
    .attention_forward = attention_forward,
    .cast = cast,
    .dropout = dropout,
    .embedding_backward = embedding_backward,
    .embedding_forward = embedding_forward,
    .embedding_sum_forward = embedding_sum_forward,
    .fill = fill,
    .fused_attention_refusal = fused_attention_refusal,
    .fused_attention_version = fused_attention_version,
    .gelu_backward = gelu_backward,
    .gelu_forward = gelu_forward,
    .join_master = join_master,
    .layer_norm_backward = layer_norm_backward,
    .layer_norm_forward = layer_norm_forward,
    .linear_backward_bias = linear_backward_bias,
    .linear_cross_entropy_backward = linear_cross_entropy_backward,
    .linear_cross_entropy_forward = linear_cross_entropy_forward,
    .qk_norm_rope_backward = qk_norm_rope_backward,
    .qk_norm_rope_forward = qk_norm_rope_forward,
    .rms_norm_backward = rms_norm_backward,
    .rms_norm_forward = rms_norm_forward,
    .rope_rotate = rope_rotate,
    .span_cross_entropy = span_cross_entropy,
    .span_logits_backward = span_logits_backward,
    .span_logits_forward = span_logits_forward,
    .split_master = split_master,
    .store_rows = store_rows,
    .sum_of_squares = sum_of_squares,
    .swiglu_backward = swiglu_backward,
    .swiglu_forward = swiglu_forward,
};

const CollectiveTable collective_table = {
    .name = bus_name,
    .version = nccl_version,
#ifdef STRATA_WITH_NCCL
    .new_id = new_link_id,
    .open = open_link,
#endif
};

}  // namespace
}  // namespace strata::cuda

extern "C" const strata::CudaHalf* strata_cuda_half() {
  static const std::string build = strata::build_text();
  static const strata::CudaHalf half = {build.c_str(), strata::cuda::device_count, strata::cuda::open_device, &strata::cuda::op_table,
                                        &strata::cuda::collective_table};
  return &half;
}
