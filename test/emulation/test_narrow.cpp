// The emulation's 16-bit types: every value there and back, and every rounding, against an exact reference.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "cuda_bf16.h"
#include "cuda_fp16.h"

namespace {

struct Format {
  int exponent_bits, fraction_bits;
};
constexpr Format bf16{8, 7}, fp16{5, 10};

// The value of a finite pattern, by its definition.
double value(Format f, unsigned bits) {
  const int bias = (1 << (f.exponent_bits - 1)) - 1;
  const int exponent = static_cast<int>(bits >> f.fraction_bits) & ((1 << f.exponent_bits) - 1);
  const double fraction = bits & ((1u << f.fraction_bits) - 1);
  const double size = exponent == 0 ? std::ldexp(fraction, 1 - bias - f.fraction_bits)
                                    : std::ldexp(fraction + (1 << f.fraction_bits), exponent - bias - f.fraction_bits);
  return (bits & 0x8000u) != 0 ? -size : size;
}

unsigned infinity(Format f) {
  return ((1u << f.exponent_bits) - 1) << f.fraction_bits;
}

template <class T>
unsigned bits_of(T x) {
  return x.bits;
}

// Between each pattern and the next: below, at and above the middle, in f32 and in f64.
template <class T>
void check_roundings(Format f) {
  for (unsigned bits = 0; bits < infinity(f); ++bits) {
    const double low = value(f, bits);
    const bool last = bits + 1 == infinity(f);
    const double high = last ? low + (low - value(f, bits - 1)) : value(f, bits + 1);
    const double middle = (low + high) / 2;
    for (const unsigned sign : {0u, 0x8000u}) {
      const double s = sign != 0 ? -1 : 1;
      const unsigned even = bits % 2 == 0 ? bits : bits + 1;
      ASSERT_EQ(bits_of(T(s * low)), sign | bits);
      ASSERT_EQ(bits_of(T(static_cast<float>(s * low))), sign | bits);
      ASSERT_EQ(static_cast<double>(static_cast<float>(T(s * low))), s * low);
      ASSERT_EQ(bits_of(T(s * middle)), sign | even);
      ASSERT_EQ(bits_of(T(s * std::nextafter(middle, 0.0))), sign | bits);
      ASSERT_EQ(bits_of(T(s * std::nextafter(middle, 1e300))), sign | (bits + 1));
      const auto narrow = static_cast<float>(middle);
      if (static_cast<double>(narrow) != middle) continue;  // below f32's own last place
      ASSERT_EQ(bits_of(T(static_cast<float>(s) * narrow)), sign | even);
      ASSERT_EQ(bits_of(T(static_cast<float>(s) * std::nextafter(narrow, 0.0f))), sign | bits);
      ASSERT_EQ(bits_of(T(static_cast<float>(s) * std::nextafter(narrow, std::numeric_limits<float>::max()))), sign | (bits + 1));
    }
  }
}

template <class T>
void check_special(Format f) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(bits_of(T(inf)), infinity(f));
  EXPECT_EQ(bits_of(T(-inf)), infinity(f) | 0x8000u);
  EXPECT_EQ(bits_of(T(1e300)), infinity(f));
  EXPECT_EQ(bits_of(T(nan)), 0x7fffu);
  EXPECT_EQ(bits_of(T(-nan)), 0x7fffu);
  EXPECT_EQ(bits_of(T(std::numeric_limits<double>::quiet_NaN())), 0x7fffu);
  EXPECT_EQ(bits_of(T(-0.0f)), 0x8000u);
  for (unsigned bits = infinity(f) + 1; bits < 0x8000u; ++bits) {
    T x;
    x.bits = static_cast<unsigned short>(bits);
    ASSERT_TRUE(std::isnan(static_cast<float>(x)));
    ASSERT_TRUE(__hisnan(x));
  }
}

}  // namespace

TEST(EmulatedNarrow, Bf16) {
  check_roundings<__nv_bfloat16>(bf16);
  check_special<__nv_bfloat16>(bf16);
}

TEST(EmulatedNarrow, Fp16) {
  check_roundings<__half>(fp16);
  check_special<__half>(fp16);
}

TEST(EmulatedNarrow, Pairs) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(1.0f, 2.0f);
  EXPECT_EQ(__low2float(pair), 1.0f);
  EXPECT_EQ(__high2float(pair), 2.0f);
  EXPECT_EQ(__bfloat1622float2(pair).y, 2.0f);
  EXPECT_EQ(__half22float2(__floats2half2_rn(3.0f, 4.0f)).x, 3.0f);
  EXPECT_EQ(alignof(__half2), 4u);
}
