// The last error, as cudaGetLastError gives it.
#pragma once
#include "emulation/host_types.hpp"

extern "C" const char* cudaGetErrorString(cudaError_t error);

namespace emulation {

/// Keeps an error for cudaGetLastError, and hands it on.
cudaError_t record(cudaError_t error);

}  // namespace emulation
