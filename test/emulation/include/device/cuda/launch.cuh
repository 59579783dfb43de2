// The emulation's stand-in for Strata's src/device/cuda/launch.cuh: the same interface, the launch queued for the host.
#pragma once
#include <cuda_runtime.h>

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

#include "emulation/run.hpp"

namespace strata::cuda {

struct LaunchShape {
  dim3 grid;
  dim3 block;
  std::size_t shared = 0;  // [bytes] of dynamic shared memory; what may exceed 48 KiB with the kernel's own is asked for here
};

/// Launches a kernel; arguments are copied at the call, as the kernel's parameters. Throws std::runtime_error where the shape exceeds a
/// limit.
template <class... P, class... A>
void launch(void (*kernel)(P...), LaunchShape shape, cudaStream_t stream, A&&... arguments) {
  static_assert((!std::is_reference_v<P> && ...), "a kernel takes its parameters by value");
  static_assert((std::is_trivially_copyable_v<P> && ...), "a kernel's parameters are copied as bytes");
  static_assert((std::size_t{0} + ... + sizeof(P)) <= 4096 - 16 * sizeof...(P), "a kernel's parameters have 4 KiB");
  static_assert(sizeof...(P) == sizeof...(A), "as many arguments as the kernel has parameters");
  std::tuple<std::remove_cv_t<P>...> copies{static_cast<P>(std::forward<A>(arguments))...};
  if (shape.shared > 32 * 1024) cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shape.shared));
  emulation::enqueue_kernel(reinterpret_cast<const void*>(kernel), shape.grid, shape.block, shape.shared, stream,
                            [kernel, copies] { std::apply(kernel, copies); });
}

}  // namespace strata::cuda
