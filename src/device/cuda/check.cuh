#pragma once
// What CUDA's calls return, as errors of ours.
#include <cuda_runtime.h>

#include "strata/base/error.hpp"

namespace strata::cuda {

/// Throws InternalError with CUDA's name and reason unless all is well: "doing this: cudaErrorIllegalAddress (...)".
inline void check(cudaError_t result, const char* doing) {
  if (result == cudaSuccess) return;
  throw InternalError(text(doing, ": ", cudaGetErrorName(result), " (", cudaGetErrorString(result), ")"));
}

}  // namespace strata::cuda
