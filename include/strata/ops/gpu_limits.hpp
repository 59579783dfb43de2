#pragma once
// What the kernels of a GPU can hold of a row; the host has no such limits.
#include <cstdint>

#include "strata/base/dtype.hpp"

namespace strata {

/// Elements of an attention head at most.
constexpr std::int64_t largest_gpu_head = 256;

/// Elements of a row of RMSNorm or LayerNorm at most: 64 KiB, which a block's threads keep in registers.
inline std::int64_t largest_gpu_norm(DType type) {
  return 65536 / static_cast<std::int64_t>(size_of(type));
}

}  // namespace strata
