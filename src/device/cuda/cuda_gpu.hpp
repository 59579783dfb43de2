#pragma once
// Gpu by the CUDA run-time: devices, memory, the queue.
#include "strata/device/gpu.hpp"

namespace strata::cuda {

/// GPUs this process sees. Throws CapacityError where there is no driver, or one older than the CUDA libraries this was built with.
int device_count();
/// Opens one. Throws CapacityError where it is too old (compute capability below 8.0).
Gpu* open_device(int device);

}  // namespace strata::cuda
