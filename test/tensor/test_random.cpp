// Random numbers: Philox against its published test vectors, recorded values that must never change, and rough statistics.
#include "strata/tensor/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <set>

namespace strata {
namespace {

using Bits = std::array<std::uint32_t, 4>;

/// Philox 4x32-10 itself: the seed that gives this key for the purpose `test`, the counter as a and b.
Bits philox(Bits counter, std::uint32_t key0, std::uint32_t key1) {
  const std::uint32_t mixed = key1 ^ (static_cast<std::uint32_t>(RandomPurpose::test) * 0x9E3779B9u);
  return random_bits(std::uint64_t{mixed} << 32 | key0, RandomPurpose::test, std::uint64_t{counter[1]} << 32 | counter[0],
                     std::uint64_t{counter[3]} << 32 | counter[2]);
}

TEST(Random, EqualsThePublishedVectorsOfPhilox) {  // kat_vectors of Random123 (Salmon et al. 2011): philox 4x32, 10 rounds
  EXPECT_EQ(philox({0, 0, 0, 0}, 0, 0), (Bits{0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u}));
  EXPECT_EQ(philox({0xffffffffu, 0xffffffffu, 0xffffffffu, 0xffffffffu}, 0xffffffffu, 0xffffffffu),
            (Bits{0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu}));
  EXPECT_EQ(philox({0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}, 0xa4093822u, 0x299f31d0u),
            (Bits{0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u}));
}

// A change of these changes every run's weights, data order and samples: it needs a new format version, not a new expectation.
TEST(Random, RecordedValuesStay) {
  EXPECT_EQ(random_bits(42, RandomPurpose::initial_weights, 0, 0), (Bits{0xb24997d0u, 0x617c9d08u, 0x63081b9bu, 0xfa4fe1e3u}));
  EXPECT_EQ(random_bits(42, RandomPurpose::data_order, 3, 7), (Bits{0x5c74d29bu, 0xbc41d5f1u, 0x8896a30eu, 0x72722bf7u}));
  EXPECT_EQ(random_bits(0xfedcba9876543210u, RandomPurpose::sampling, 1u, std::uint64_t{1} << 40),
            (Bits{0xf2c201ebu, 0xb530d9f9u, 0xe2749948u, 0x90cba241u}));
  EXPECT_EQ(random_uniform(42, RandomPurpose::dropout, 5, 6), 0x1.d8b19246fba86p-2);
}

TEST(Random, EveryArgumentMatters) {
  std::set<Bits> seen;
  for (const std::uint64_t value :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 31, std::uint64_t{1} << 32, std::uint64_t{1} << 63}) {
    seen.insert(random_bits(value, RandomPurpose::test, 9, 9));
    seen.insert(random_bits(5, RandomPurpose::test, value, 9));
    seen.insert(random_bits(5, RandomPurpose::test, 9, value));
  }
  for (const RandomPurpose purpose :
       {RandomPurpose::initial_weights, RandomPurpose::data_order, RandomPurpose::sampling, RandomPurpose::dropout, RandomPurpose::split})
    seen.insert(random_bits(5, purpose, 9, 9));
  EXPECT_EQ(seen.size(), 20U);
}

TEST(Random, UniformNumbersFillTheUnitInterval) {
  constexpr int n = 100000, bins = 20;
  std::array<int, bins> counts{};
  double sum = 0;
  for (int i = 0; i < n; ++i) {
    const double u = random_uniform(1, RandomPurpose::test, 2, static_cast<std::uint64_t>(i));
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    counts[static_cast<std::size_t>(u * bins)] += 1;
  }
  EXPECT_NEAR(sum / n, 0.5, 0.004);  // 4 standard errors
  double chi_square = 0;
  for (const int count : counts) chi_square += (count - n / bins) * (count - n / bins) / static_cast<double>(n / bins);
  EXPECT_LT(chi_square, 50);  // 19 degrees of freedom
}

TEST(Random, NormalNumbersHaveTheirMoments) {
  constexpr int n = 50000;
  double sum = 0, squares = 0, fourth = 0, product = 0;
  for (int i = 0; i < n; ++i) {
    const auto [x, y] = random_normals(1, RandomPurpose::test, 3, static_cast<std::uint64_t>(i));
    ASSERT_TRUE(std::isfinite(x) && std::isfinite(y));
    sum += x + y, squares += x * x + y * y, fourth += x * x * x * x + y * y * y * y, product += x * y;
  }
  EXPECT_NEAR(sum / (2 * n), 0, 0.013);
  EXPECT_NEAR(squares / (2 * n), 1, 0.018);
  EXPECT_NEAR(fourth / (2 * n), 3, 0.13);
  EXPECT_NEAR(product / n, 0, 0.018);
}

}  // namespace
}  // namespace strata
