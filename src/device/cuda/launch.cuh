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

/// Gives kernel(arguments...) to the queue. Throws Error naming CUDA's reason where the launch is refused.
template <class... P, class... A>
void launch(void (*kernel)(P...), LaunchShape shape, cudaStream_t stream, A&&... arguments) {
  if (shape.shared > 32 * 1024)
    check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shape.shared)),
          "asking for shared memory");
  kernel<<<shape.grid, shape.block, shape.shared, stream>>>(static_cast<P>(arguments)...);
  check(cudaGetLastError(), "launching a kernel");
}

}  // namespace strata::cuda
