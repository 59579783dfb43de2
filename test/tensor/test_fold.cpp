// The canonical tree of sums: its shape, its bits, and that aligned parts may be folded elsewhere first.
#include "strata/tensor/fold.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace strata {
namespace {

std::vector<double> terms(std::size_t n) {
  std::vector<double> values;
  for (std::size_t i = 0; i < n; ++i)
    values.push_back(std::sin(static_cast<double>(i) * 12.9898) * std::pow(10.0, static_cast<double>(i % 13)));
  return values;
}

TEST(Fold, LeftPartIsTheLargestPowerOfTwoBelow) {
  const std::int64_t expected[][2] = {{2, 1}, {3, 2}, {4, 2}, {5, 4}, {8, 4}, {9, 8}, {1000, 512}, {1024, 512}, {1025, 1024}};
  for (const auto& [n, left] : expected) EXPECT_EQ(left_part(n), left) << n;
}

TEST(Fold, SmallSumsByHand) {
  EXPECT_EQ(fold({}), 0.0);
  const std::vector<double> t = terms(7);
  EXPECT_EQ(fold(std::span(t).first(1)), t[0]);
  EXPECT_EQ(fold(std::span(t).first(3)), (t[0] + t[1]) + t[2]);
  EXPECT_EQ(fold(std::span(t).first(5)), ((t[0] + t[1]) + (t[2] + t[3])) + t[4]);
  EXPECT_EQ(fold(t), ((t[0] + t[1]) + (t[2] + t[3])) + ((t[4] + t[5]) + t[6]));
}

/// The binary counter of design.md: whole subtrees as they complete, emptied from the smallest entry.
double by_counter(const std::vector<double>& values) {
  struct Entry {
    double sum;
    std::int64_t size;
  };
  std::vector<Entry> counter;
  for (const double value : values) {
    Entry entry{value, 1};
    while (!counter.empty() && counter.back().size == entry.size)
      entry = {counter.back().sum + entry.sum, 2 * entry.size}, counter.pop_back();
    counter.push_back(entry);
  }
  if (counter.empty()) return 0;
  double sum = counter.back().sum;
  for (std::size_t i = counter.size() - 1; i-- > 0;) sum = counter[i].sum + sum;
  return sum;
}

TEST(Fold, ABinaryCounterGivesTheSameBits) {
  for (std::size_t n = 0; n < 300; ++n) EXPECT_EQ(by_counter(terms(n)), fold(terms(n))) << n;
}

TEST(Fold, AlignedBlocksMayBeFoldedFirst) {
  for (const std::size_t n : {64U, 65U, 100U, 129U}) {
    const std::vector<double> t = terms(n);
    std::vector<double> blocks;
    for (std::size_t i = 0; i < n; i += 16) blocks.push_back(fold(std::span(t).subspan(i, std::min<std::size_t>(16, n - i))));
    EXPECT_EQ(fold(blocks), fold(t)) << n;
  }
}

}  // namespace
}  // namespace strata
