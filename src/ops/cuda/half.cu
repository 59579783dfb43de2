// The entry of the CUDA half: what the program finds in the shared object.
#include <string>

#include "device/cuda/cuda_gpu.hpp"
#include "ops/cuda/table.hpp"
#include "strata/base/version.hpp"

namespace strata::cuda {
namespace {

const OpTable op_table = {
    .attention_backward = attention_backward,
    .attention_decode = attention_decode,
    .attention_forward = attention_forward,
    .embedding_backward = embedding_backward,
    .embedding_forward = embedding_forward,
    .embedding_sum_forward = embedding_sum_forward,
    .linear_cross_entropy_backward = linear_cross_entropy_backward,
    .linear_cross_entropy_forward = linear_cross_entropy_forward,
    .span_cross_entropy = span_cross_entropy,
    .span_logits_backward = span_logits_backward,
    .span_logits_forward = span_logits_forward,
    .store_rows = store_rows,
    .swiglu_forward = swiglu_forward,
    .swiglu_backward = swiglu_backward,
};

}  // namespace
}  // namespace strata::cuda

extern "C" const strata::CudaHalf* strata_cuda_half() {
  static const std::string build = strata::build_text();
  static const strata::CudaHalf half = {build.c_str(), strata::cuda::device_count, strata::cuda::open_device, &strata::cuda::op_table};
  return &half;
}
