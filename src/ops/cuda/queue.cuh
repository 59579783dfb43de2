#pragma once
// The queue of a stream, as kernels are launched on it.
#include <cuda_runtime.h>

#include "strata/device/gpu.hpp"
#include "strata/device/stream.hpp"

namespace strata::cuda {

inline cudaStream_t queue_of(const Stream& stream) {
  return static_cast<cudaStream_t>(stream.gpu()->queue());
}

}  // namespace strata::cuda
