#pragma once
// What the kernels of a GPU can hold of a row; the host has no such limits.
#include <cstdint>

#include "strata/base/dtype.hpp"

namespace strata {

/// Elements of an attention head at most.
constexpr std::int64_t largest_gpu_head = 256;

/// A row of RMSNorm or LayerNorm at most, which a block's threads keep in registers. [bytes]
constexpr std::int64_t largest_gpu_norm_bytes = 65536;
/// The same in elements.
inline std::int64_t largest_gpu_norm(DType type) {
  return largest_gpu_norm_bytes / static_cast<std::int64_t>(size_of(type));
}

}  // namespace strata
