#pragma once
// The fp32 master weight as bf16 and a signed 16-bit remainder, as in ops/cpu/master.hpp: the rounding is BFloat16's, ties upward, not the
// hardware's.
#include <cuda_runtime.h>

#include <cstdint>

#include "strata/base/dtype.hpp"

namespace strata::cuda {

__device__ __forceinline__ BFloat16 rounded(float value) {
  const std::uint32_t u = __float_as_uint(value);
  const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
  BFloat16 result;
  result.bits = static_cast<std::uint16_t>(nan ? (u >> 16) | 0x40u : (u + 0x8000u) >> 16);
  return result;
}
__device__ __forceinline__ float widen(BFloat16 value) {
  return __uint_as_float(std::uint32_t{value.bits} << 16);
}

__device__ __forceinline__ float joined(BFloat16 weight, std::int16_t remainder) {
  return __uint_as_float((std::uint32_t{weight.bits} << 16) + static_cast<std::uint32_t>(std::int32_t{remainder}));
}
__device__ __forceinline__ std::int16_t remainder_of(float master, BFloat16 weight) {
  return static_cast<std::int16_t>(__float_as_uint(master) - (std::uint32_t{weight.bits} << 16));
}

}  // namespace strata::cuda
