// The entry of the CUDA half: what the program finds in the shared object.
#include <string>

#include "comm/cuda/link.hpp"
#include "device/cuda/cuda_gpu.hpp"
#include "ops/cuda/table.hpp"
#include "strata/base/version.hpp"

namespace strata::cuda {
namespace {

const OpTable op_table = {
    .swiglu_forward = swiglu_forward,
    .swiglu_backward = swiglu_backward,
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
