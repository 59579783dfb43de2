#pragma once
// Which addresses are a GPU's: kept up by arenas, asked through gpu_of().
#include <cstdint>

#include "strata/device/gpu.hpp"

namespace strata {

/// [memory, memory + bytes) is the GPU's from now on, until it is forgotten.
void register_gpu_memory(Gpu& gpu, const void* memory, std::int64_t bytes);
void forget_gpu_memory(const void* memory) noexcept;

}  // namespace strata
