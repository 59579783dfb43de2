#pragma once
// What kernels of this GPU may have.
#include <cuda_runtime.h>

#include "device/cuda/check.cuh"

namespace strata::cuda {

/// Shared memory of a block, static and dynamic. [bytes]
inline std::size_t shared_limit() {
  int device = 0, bytes = 0;
  check(cudaGetDevice(&device), "asking for the device");
  check(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, device), "asking for shared memory");
  return static_cast<std::size_t>(bytes);
}

}  // namespace strata::cuda
