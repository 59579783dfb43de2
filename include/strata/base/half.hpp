#pragma once
// fp16 (IEEE binary16) as a value type of the host: what it stores and reads of it. GPUs compute in fp16, the host does not.
#include <bit>
#include <cstdint>

#include "strata/base/dtype.hpp"

namespace strata {

/// Rounds to nearest, ties to even, as GPUs do: infinity from 65520 on, subnormal below 2^-14. NaN stays NaN.
struct Half {
  std::uint16_t bits = 0;

  Half() = default;
  explicit Half(float value) : bits(round(value)) {}
  explicit operator float() const {
    const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16, exponent = bits >> 10 & 31u, fraction = bits & 0x3ffu;
    if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | fraction << 13);
    if (exponent == 0) return std::bit_cast<float>(sign | 0x3f800000u) * static_cast<float>(fraction) * 0x1p-24f;
    return std::bit_cast<float>(sign | (exponent + 112) << 23 | fraction << 13);
  }

  static std::uint16_t round(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t sign = u >> 16 & 0x8000u, size = u & 0x7fffffffu;
    if (size > 0x7f800000u) return static_cast<std::uint16_t>(sign | 0x7e00u | (size >> 13 & 0x3ffu));
    if (size >= 0x47800000u) return static_cast<std::uint16_t>(sign | 0x7c00u);  // 2^16 and more
    // Below 2^-14 one half has the last place of a subnormal: the sum is rounded as it should be. Else the carry may make it infinite.
    const std::uint32_t rounded = size < 0x38800000u ? std::bit_cast<std::uint32_t>(std::bit_cast<float>(size) + 0.5f) - 0x3f000000u
                                                     : (size - 0x38000000u + 0xfffu + (size >> 13 & 1u)) >> 13;
    return static_cast<std::uint16_t>(sign | rounded);
  }
  static Half from_bits(std::uint16_t b) {
    Half v;
    v.bits = b;
    return v;
  }
};
static_assert(sizeof(Half) == 2);

template <>
struct dtype_of<Half> {
  static constexpr DType value = DType::f16;
};

}  // namespace strata
