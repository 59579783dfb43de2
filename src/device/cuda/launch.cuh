#pragma once
// Launching kernels: the one place where a kernel is given to the GPU. The host emulation brings its own (test/emulation).
#include <cuda_runtime.h>

#include <cstddef>

#include "device/cuda/check.cuh"

namespace strata::cuda {

struct LaunchShape {
  dim3 grid;
  dim3 block;
  std::size_t shared = 0;  // [bytes] of dynamic shared memory; what may exceed 48 KiB with the kernel's own is asked for here
};

/// What a kernel's parameters may take; more since CUDA 12.1. [bytes]
constexpr std::size_t most_parameter_bytes = 4096;

/// Throws InternalError with the shape of the launch unless all is well.
inline void check_launch(cudaError_t result, const LaunchShape& shape, const char* doing) {
  if (result == cudaSuccess) return;
  cudaGetLastError();  // it is told: who goes on without the kernel (PassGraphs) finds no error of before
  throw InternalError(text(doing, ": ", cudaGetErrorName(result), " (", cudaGetErrorString(result), "), ", shape.grid.x, " x ",
                           shape.grid.y, " x ", shape.grid.z, " blocks of ", shape.block.x, " threads, ", shape.shared,
                           " bytes of dynamic shared memory"));
}

/// Gives kernel(arguments...) to the queue. Throws Error naming CUDA's reason where the launch is refused. That is what the call itself
/// returns: cudaGetLastError() would also name what another library has left behind in this thread.
template <class... P, class... A>
void launch(void (*kernel)(P...), LaunchShape shape, cudaStream_t stream, A&&... arguments) {
  static_assert((std::size_t{0} + ... + sizeof(P)) <= most_parameter_bytes - 16 * sizeof...(P), "a kernel's parameters");
  if (shape.shared > 32 * 1024)
    check_launch(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                      static_cast<int>(shape.shared)),
                 shape, "asking for shared memory");
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid, config.blockDim = shape.block, config.dynamicSmemBytes = shape.shared, config.stream = stream;
  check_launch(cudaLaunchKernelEx(&config, kernel, static_cast<P>(arguments)...), shape, "launching a kernel");
}

}  // namespace strata::cuda
