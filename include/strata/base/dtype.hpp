#pragma once
// Element types of tensors and files, with bf16 as a value type.
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace strata {

enum class DType : std::uint8_t { f64, f32, bf16, f16, i64, i32, u32, i16, u16, u8 };

/// Bytes of one element.
std::size_t size_of(DType type);
/// "f32", "bf16", ...: the name used in logs, messages and files.
const char* name_of(DType type);
/// The inverse of name_of; also takes the spellings fp32, float32, bfloat16, F32, BF16 and so on. Throws DataError.
DType dtype_from_name(std::string_view name);

/// bfloat16: the upper half of an IEEE binary32. Rounds to nearest, ties upward in magnitude: (bits + 0x8000) >> 16, so that a fp32 value
/// minus its bf16 rounding always fits a signed 16-bit remainder (doc/numerics.md). NaN stays NaN; overflow goes to infinity.
struct BFloat16 {
  std::uint16_t bits = 0;

  BFloat16() = default;
  explicit BFloat16(float value) : bits(round(value)) {}
  explicit operator float() const { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

  static std::uint16_t round(float value) {
    const std::uint32_t u = std::bit_cast<std::uint32_t>(value);
    const std::uint32_t rounded = (u + 0x8000u) >> 16;
    const bool nan = (u & 0x7fffffffu) > 0x7f800000u;
    return static_cast<std::uint16_t>(nan ? (u >> 16) | 0x40u : rounded);
  }
  static BFloat16 from_bits(std::uint16_t b) {
    BFloat16 v;
    v.bits = b;
    return v;
  }
};
static_assert(sizeof(BFloat16) == 2);

template <class T>
struct dtype_of;
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct dtype_of<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct dtype_of<std::int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct dtype_of<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct dtype_of<std::uint32_t> {
  static constexpr DType value = DType::u32;
};
template <>
struct dtype_of<std::int16_t> {
  static constexpr DType value = DType::i16;
};
template <>
struct dtype_of<std::uint16_t> {
  static constexpr DType value = DType::u16;
};
template <>
struct dtype_of<std::uint8_t> {
  static constexpr DType value = DType::u8;
};

}  // namespace strata
