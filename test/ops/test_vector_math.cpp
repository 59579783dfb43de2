// Exponentials: distance from the C library in units of the last place, edges, and equal bits at every position of a vector loop.
#include "ops/cpu/vector_math.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace strata {
namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// |value - exact| in units of the last place of exact, subnormal spacing below the normal range.
template <class T, class Wide>
double ulps(T value, Wide exact) {
  const T rounded = static_cast<T>(exact);
  const T step = std::max(std::nextafter(rounded, std::numeric_limits<T>::infinity()) - rounded, std::numeric_limits<T>::denorm_min());
  return static_cast<double>(std::abs(static_cast<Wide>(value) - exact) / static_cast<Wide>(step));
}

TEST(VectorMath, FloatExponentialIsWithin1Point1Ulp) {
  double worst = 0, worst_subnormal = 0;
  for (std::uint32_t bits = 0; bits < 0x42b00000u; bits += 29)  // 0 .. 88, both signs
    for (const float x : {std::bit_cast<float>(bits), -std::bit_cast<float>(bits)}) {
      const double error = ulps(exp_f32(x), std::exp(static_cast<double>(x)));
      (x < -87.33f ? worst_subnormal : worst) = std::max(x < -87.33f ? worst_subnormal : worst, error);
    }
  for (float x = -104.0f; x < -87.0f; x += 0x1p-12f)
    worst_subnormal = std::max(worst_subnormal, ulps(exp_f32(x), std::exp(static_cast<double>(x))));

  EXPECT_LT(worst, 1.1);
  EXPECT_LT(worst_subnormal, 1.5);  // a second rounding where the result is subnormal
  RecordProperty("worst_ulp", std::to_string(worst));
}

TEST(VectorMath, DoubleExponentialIsWithin1Point1Ulp) {
  double worst = 0;
  for (double x = -745.0; x < 709.7; x += 0.00173) worst = std::max(worst, ulps(exp_f64(x), std::exp(static_cast<long double>(x))));
  for (double x = -1.0; x < 1.0; x += 0.0000037) worst = std::max(worst, ulps(exp_f64(x), std::exp(static_cast<long double>(x))));

  EXPECT_LT(worst, 1.1);
}

TEST(VectorMath, EdgesOfTheRange) {
  EXPECT_EQ(exp_f32(0.0f), 1.0f);
  EXPECT_EQ(exp_f32(-0.0f), 1.0f);
  EXPECT_EQ(exp_f32(infinity), infinity);
  EXPECT_EQ(exp_f32(88.73f), infinity);
  EXPECT_EQ(exp_f32(1e30f), infinity);
  EXPECT_EQ(exp_f32(-infinity), 0.0f);
  EXPECT_EQ(exp_f32(-1e30f), 0.0f);
  EXPECT_EQ(exp_f32(-103.0f), static_cast<float>(std::exp(-103.0)));
  EXPECT_TRUE(std::isnan(exp_f32(std::nanf(""))));

  EXPECT_EQ(exp_f64(0.0), 1.0);
  EXPECT_EQ(exp_f64(709.79), std::numeric_limits<double>::infinity());
  EXPECT_EQ(exp_f64(std::numeric_limits<double>::infinity()), std::numeric_limits<double>::infinity());
  EXPECT_EQ(exp_f64(-std::numeric_limits<double>::infinity()), 0.0);
  EXPECT_EQ(exp_f64(-745.0), std::exp(-745.0));
  EXPECT_TRUE(std::isnan(exp_f64(std::nan(""))));
}

/// The same arguments shifted by every offset: each meets the vector body in one run and the scalar tail in another.
template <class T, class Exp>
void expect_same_bits_at_every_position(Exp exponential) {
  std::vector<T> x(131), y(131);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(std::sin(static_cast<double>(i) * 1.7) * 90.0);
  x[7] = static_cast<T>(infinity), x[50] = static_cast<T>(-infinity), x[99] = std::numeric_limits<T>::quiet_NaN();
  for (std::size_t first = 0; first < 67; ++first)
    for (std::size_t last = first; last < x.size(); last += 5) {
      for (std::size_t i = first; i < last; ++i) y[i] = exponential(x[i]);
      for (std::size_t i = first; i < last; ++i) {
        volatile T alone = x[i];  // outside of any vector loop
        const T expected = exponential(alone);
        if (std::isnan(expected))
          EXPECT_TRUE(std::isnan(y[i]));
        else
          EXPECT_EQ(y[i], expected) << "element " << i << " of [" << first << ", " << last << ")";
      }
    }
}

TEST(VectorMath, BitsDoNotDependOnThePosition) {
  expect_same_bits_at_every_position<float>([](float x) { return exp_f32(x); });
  expect_same_bits_at_every_position<double>([](double x) { return exp_f64(x); });
}

}  // namespace
}  // namespace strata
