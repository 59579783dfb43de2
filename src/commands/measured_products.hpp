#pragma once
// The matrix products that `strata measure` times.
#include <vector>

#include "strata/device/gpu.hpp"
#include "strata/device/peaks.hpp"

namespace strata {

/// The first three are the peaks of fp32, bf16 and fp64. The others are products of Qwen3-0.6B: at 512 tokens on the host (`gpu` null), at
/// 4,096 on a GPU. Small ones on the emulation.
std::vector<ProductShape> measured_products(const Gpu* gpu);

}  // namespace strata
