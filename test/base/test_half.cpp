// fp16 as a value type, against the compiler's own.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "strata/base/half.hpp"

namespace strata::test {
namespace {

__extension__ typedef _Float16 Truth;  // NOLINT: the compiler's

std::uint16_t true_bits(float value) {
  const auto rounded = static_cast<Truth>(value);
  std::uint16_t bits;
  std::memcpy(&bits, &rounded, sizeof bits);
  return bits;
}

TEST(Half, EveryValueIsReadAsTheCompilerReadsItAndRoundsToItself) {
  for (std::uint32_t bits = 0; bits < 0x10000u; ++bits) {
    const auto value = static_cast<float>(Half::from_bits(static_cast<std::uint16_t>(bits)));
    Truth truth;
    std::memcpy(&truth, &bits, sizeof truth);
    if (std::isnan(value)) {
      EXPECT_GT(bits & 0x7fffu, 0x7c00u);
      EXPECT_TRUE(std::isnan(static_cast<float>(Half(value))));
      continue;
    }
    EXPECT_EQ(std::bit_cast<std::uint32_t>(value), std::bit_cast<std::uint32_t>(static_cast<float>(truth))) << bits;
    EXPECT_EQ(Half(value).bits, bits);
  }
}

TEST(Half, FloatsRoundAsTheCompilerRoundsThem) {
  // Every upper half of a float's bits, with lower halves around the ties of all exponents.
  for (std::uint32_t upper = 0; upper < 0x10000u; ++upper)
    for (const std::uint32_t lower :
         {0u, 1u, 0x7ffu, 0xfffu, 0x1000u, 0x1001u, 0x2000u, 0x3000u, 0x7fffu, 0x8000u, 0x8001u, 0xf000u, 0xffffu}) {
      const auto value = std::bit_cast<float>(upper << 16 | lower);
      if (std::isnan(value)) continue;
      ASSERT_EQ(Half(value).bits, true_bits(value)) << value;
    }
}

TEST(Half, OverflowsToInfinityAtTheTieBeyondItsLargest) {
  EXPECT_EQ(static_cast<float>(Half(65504.0f)), 65504.0f);
  EXPECT_EQ(static_cast<float>(Half(65519.996f)), 65504.0f);
  EXPECT_EQ(static_cast<float>(Half(65520.0f)), INFINITY);
  EXPECT_EQ(static_cast<float>(Half(-1e30f)), -INFINITY);
  EXPECT_EQ(static_cast<float>(Half(0x1p-25f)), 0.0f);
  EXPECT_EQ(static_cast<float>(Half(0x1.8p-25f)), 0x1p-24f);
}

}  // namespace
}  // namespace strata::test
