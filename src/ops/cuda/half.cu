// The entry of the CUDA half: what the program finds in the shared object.
#include <string>

#include "device/cuda/cuda_gpu.hpp"
#include "ops/cuda/table.hpp"
#include "strata/base/version.hpp"

namespace strata::cuda {
namespace {

const OpTable op_table = {
    .adamw_update = adamw_update,
    .add_into = add_into,
    .cast = cast,
    .dropout = dropout,
    .fill = fill,
    .gelu_forward = gelu_forward,
    .gelu_backward = gelu_backward,
    .join_master = join_master,
    .layer_norm_forward = layer_norm_forward,
    .layer_norm_backward = layer_norm_backward,
    .linear_backward_bias = linear_backward_bias,
    .rms_norm_forward = rms_norm_forward,
    .rms_norm_backward = rms_norm_backward,
    .rope_rotate = rope_rotate,
    .split_master = split_master,
    .sum_of_squares = sum_of_squares,
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
