#pragma once
// The fp32 master weight as a bf16 weight and a signed 16-bit remainder: 4 bytes in all (design.md, master weights).
#include <bit>
#include <cstdint>

#include "strata/base/dtype.hpp"

namespace strata::cpu {

/// (weight bits << 16) + remainder.
inline float joined(BFloat16 weight, std::int16_t remainder) {
  return std::bit_cast<float>((std::uint32_t{weight.bits} << 16) + static_cast<std::uint32_t>(std::int32_t{remainder}));
}

/// What is left of `master` beside its rounding `weight`; fits 16 bits for every number and infinity. A NaN stays NaN, its payload may
/// change.
inline std::int16_t remainder_of(float master, BFloat16 weight) {
  return static_cast<std::int16_t>(std::bit_cast<std::uint32_t>(master) - (std::uint32_t{weight.bits} << 16));
}

}  // namespace strata::cpu
