#pragma once
// Exponentials for vector loops: no branch, no call, no table, so that a loop over them vectorises and every element has the same bits at
// any position.
#include <bit>
#include <cmath>
#include <cstdint>

namespace strata {

/// e^x within 1.1 ulp (test/ops/test_vector_math.cpp): x = n ln2 + r, a polynomial in |r| <= ln2 / 2, scaled by 2^n in two steps so that
/// subnormal results come out right. inf above 88.73, 0 below -103.98, NaN for NaN.
inline float exp_f32(float x) {
  constexpr float magic = 0x1.8p23f;  // adding it rounds to an integer, which then stands in the low bits
  x = x > 89.0f ? 89.0f : x;
  x = x < -104.0f ? -104.0f : x;
  const float shifted = std::fma(x, 0x1.715476p+0f, magic);
  const std::int32_t n = std::bit_cast<std::int32_t>(shifted) - std::bit_cast<std::int32_t>(magic);
  const float whole = shifted - magic;
  float r = std::fma(whole, -0x1.62e430p-1f, x);
  r = std::fma(whole, 0x1.05c610p-29f, r);
  // (e^r - 1 - r) / r^2, Chebyshev fit of degree 4, error 6.5e-8.
  float q = 0x1.6d110ap-10f;
  q = std::fma(q, r, 0x1.120b6ep-7f);
  q = std::fma(q, r, 0x1.55551ap-5f);
  q = std::fma(q, r, 0x1.5554dcp-3f);
  q = std::fma(q, r, 0.5f);
  const float value = 1.0f + std::fma(q * r, r, r);
  const std::int32_t half = n >> 1;
  const float scale_1 = std::bit_cast<float>((half + 127) << 23);
  const float scale_2 = std::bit_cast<float>((n - half + 127) << 23);
  return value * scale_1 * scale_2;
}

/// e^x within 1.1 ulp for doubles, in the same way. inf above 709.79, 0 below -745.14, NaN for NaN.
inline double exp_f64(double x) {
  constexpr double magic = 0x1.8p52;
  x = x > 710.0 ? 710.0 : x;
  x = x < -746.0 ? -746.0 : x;
  const double shifted = std::fma(x, 0x1.71547652b82fep+0, magic);
  const std::int64_t n = std::bit_cast<std::int64_t>(shifted) - std::bit_cast<std::int64_t>(magic);
  const double whole = shifted - magic;
  double r = std::fma(whole, -0x1.62e42fefa39efp-1, x);
  r = std::fma(whole, -0x1.abc9e3b39803fp-56, r);
  // Taylor series of (e^r - 1 - r) / r^2 to r^11: the rest is below 4e-18.
  double q = 1.0 / 6227020800.0;
  q = std::fma(q, r, 1.0 / 479001600.0);
  q = std::fma(q, r, 1.0 / 39916800.0);
  q = std::fma(q, r, 1.0 / 3628800.0);
  q = std::fma(q, r, 1.0 / 362880.0);
  q = std::fma(q, r, 1.0 / 40320.0);
  q = std::fma(q, r, 1.0 / 5040.0);
  q = std::fma(q, r, 1.0 / 720.0);
  q = std::fma(q, r, 1.0 / 120.0);
  q = std::fma(q, r, 1.0 / 24.0);
  q = std::fma(q, r, 1.0 / 6.0);
  q = std::fma(q, r, 0.5);
  const double value = 1.0 + std::fma(q * r, r, r);
  const std::int64_t half = n >> 1;
  const double scale_1 = std::bit_cast<double>((half + 1023) << 52);
  const double scale_2 = std::bit_cast<double>((n - half + 1023) << 52);
  return value * scale_1 * scale_2;
}

/// The exponential of an accumulation type.
inline float exp_of(float x) {
  return exp_f32(x);
}
inline double exp_of(double x) {
  return exp_f64(x);
}

}  // namespace strata
