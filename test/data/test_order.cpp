// Data order: a permutation per epoch, the same for ever.
#include "strata/data/order.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "strata/base/error.hpp"
#include "strata/data/split.hpp"
#include "support/support.hpp"

namespace strata {
namespace {

std::vector<std::int64_t> epoch_of_samples(const DataOrder& order, std::int64_t epoch) {
  std::vector<std::int64_t> samples;
  for (std::int64_t i = 0; i < order.samples(); ++i) samples.push_back(order.sample_at(epoch * order.samples() + i));
  return samples;
}

TEST(DataOrder, IsAPermutationInEveryEpoch) {
  for (const std::int64_t n : {1, 2, 3, 4, 5, 15, 16, 17, 63, 255, 1000, 4096, 4097, 65537}) {
    const DataOrder order(n, 7, true);
    for (const std::int64_t epoch : {0, 1, 12345}) {
      std::vector<std::int64_t> samples = epoch_of_samples(order, epoch);
      std::sort(samples.begin(), samples.end());
      std::vector<std::int64_t> all(static_cast<std::size_t>(n));
      std::iota(all.begin(), all.end(), 0);
      EXPECT_EQ(samples, all) << n << " samples, epoch " << epoch;
    }
  }
}

TEST(DataOrder, EpochsAndSeedsDiffer) {
  const DataOrder order(1000, 7, true), other(1000, 8, true);
  const auto same = [](const std::vector<std::int64_t>& a, const std::vector<std::int64_t>& b) {
    int count = 0;
    for (std::size_t i = 0; i < a.size(); ++i) count += a[i] == b[i];
    return count;
  };
  // Two random permutations agree at one place on average; more than 10 has probability 1e-8.
  EXPECT_LE(same(epoch_of_samples(order, 0), epoch_of_samples(order, 1)), 10);
  EXPECT_LE(same(epoch_of_samples(order, 0), epoch_of_samples(other, 0)), 10);
}

TEST(DataOrder, EverySampleIsEquallyLikelyEverywhere) {
  constexpr std::int64_t n = 5, epochs = 20000;
  const DataOrder order(n, 3, true);
  std::vector<std::vector<double>> counts(n, std::vector<double>(n));
  for (std::int64_t i = 0; i < n * epochs; ++i) ++counts[static_cast<std::size_t>(i % n)][static_cast<std::size_t>(order.sample_at(i))];
  const double expected = static_cast<double>(epochs) / n, deviation = std::sqrt(expected);
  for (const auto& position : counts)
    for (const double count : position) EXPECT_NEAR(count, expected, 5 * deviation);
}

TEST(DataOrder, NeighboursAreScattered) {
  constexpr std::int64_t n = 100000;
  const DataOrder order(n, 1, true);
  double sum = 0;
  for (std::int64_t i = 0; i + 1 < n; ++i) sum += std::abs(static_cast<double>(order.sample_at(i) - order.sample_at(i + 1)));
  EXPECT_NEAR(sum / (n - 1) / n, 1.0 / 3, 0.005) << "mean distance of two random numbers in [0, 1)";
}

TEST(DataOrder, WithoutShufflingIsFileOrder) {
  const DataOrder order(10, 7, false);
  for (std::int64_t i = 0; i < 25; ++i) EXPECT_EQ(order.sample_at(i), i % 10);
  EXPECT_EQ(order.epoch_of(9), 0);
  EXPECT_EQ(order.epoch_of(10), 1);
}

TEST(DataOrder, NeverChanges) {
  // Pinned when the order was made: a change would give every resumed run other data.
  EXPECT_THAT(epoch_of_samples(DataOrder(10, 42, true), 0), ::testing::ElementsAre(1, 9, 0, 3, 8, 4, 5, 7, 6, 2));
  EXPECT_THAT(epoch_of_samples(DataOrder(10, 42, true), 1), ::testing::ElementsAre(9, 7, 5, 4, 3, 1, 2, 6, 8, 0));
  const DataOrder large(1'000'000'007, 42, true);
  std::vector<std::int64_t> samples;
  for (const std::int64_t position : {std::int64_t{0}, std::int64_t{1}, std::int64_t{999'999'999}, std::int64_t{123'456'789'012}})
    samples.push_back(large.sample_at(position));
  EXPECT_THAT(samples, ::testing::ElementsAre(785877281, 298827330, 964706659, 723640211));
}

TEST(DataOrder, NeedsASample) {
  EXPECT_THROW(DataOrder(0, 1, true), DataError);
}

class RecordedOrder : public ::testing::Test {
 protected:
  DataOrder read(const std::string& numbers, std::int64_t samples = 4) {
    test::write_file(folder_ / "order.txt", numbers);
    return DataOrder(samples, folder_ / "order.txt");
  }
  std::string problem(const std::string& numbers, std::int64_t samples = 4) {
    try {
      read(numbers, samples);
    } catch (const DataError& e) {
      return e.what();
    }
    return "";
  }
  test::TemporaryFolder folder_;
};

TEST_F(RecordedOrder, IsFollowedAndBeginsAgain) {
  const DataOrder order = read("2 0 3 1\n\n3\t2\r\n1\n0");
  std::vector<std::int64_t> samples;
  for (std::int64_t i = 0; i < 10; ++i) samples.push_back(order.sample_at(i));
  EXPECT_THAT(samples, ::testing::ElementsAre(2, 0, 3, 1, 3, 2, 1, 0, 2, 0));
  EXPECT_EQ(order.epoch_of(4), 1);
}

TEST_F(RecordedOrder, HasAHashOfItsNumbers) {
  EXPECT_EQ(read("2 0 3 1").hash(), read("2\n0\n3\n1\n").hash());
  EXPECT_NE(read("2 0 3 1").hash(), read("2 0 1 3").hash());
  EXPECT_NE(read("2 0 3 1").hash(), read("2 0 3 1 2 0 3 1").hash());
  EXPECT_EQ(DataOrder(4, 1, true).hash(), "");
}

TEST_F(RecordedOrder, TakesWholeEpochsWithEachSampleOnce) {
  using ::testing::HasSubstr;
  EXPECT_THAT(problem("0 1\n2 four"), HasSubstr("order.txt, line 2: 'four' is not the number of a sample, from 0 to 3"));
  EXPECT_THAT(problem("0 1 2 4"), HasSubstr("line 1: '4' is not"));
  EXPECT_THAT(problem("0 1 -1 3"), HasSubstr("'-1' is not"));
  EXPECT_THAT(problem("0 1 2.0 3"), HasSubstr("'2.0' is not"));
  EXPECT_THAT(problem("0 1 99999999999999999999 3"), HasSubstr("'99999999999999999999' is not"));
  EXPECT_THAT(problem("0 1 2 3 0"), HasSubstr("holds 5 numbers; an epoch has 4 samples, and whole epochs are wanted"));
  EXPECT_THAT(problem(" \n"), HasSubstr("holds 0 numbers"));
  EXPECT_THAT(problem("0 1 2 3 0 1 2 1"), HasSubstr("sample 1 comes a second time in epoch 1 (number 8 of the file)"));
  EXPECT_THROW(DataOrder(4, folder_ / "nowhere.txt"), DataError);
}

TEST(Split, HoldsItsShareInEveryPrefix) {
  for (const double share : {0.001, 0.01, 0.1, 1.0 / 3, 0.4, 0.5, 0.7, 0.9, 0.99}) {
    const Split split(share, 42);
    std::int64_t validation = 0;
    for (std::int64_t i = 0; i < 20000; ++i) {
      validation += split.is_validation(i);
      const auto low = static_cast<std::int64_t>(std::floor(static_cast<double>(i + 1) * share + 1e-9));
      ASSERT_GE(validation, low - 1) << share << " at " << i;
      ASSERT_LE(validation, low + 1) << share << " at " << i;
    }
    EXPECT_NEAR(static_cast<double>(validation), 20000 * share, 1.0) << share;
  }
}

TEST(Split, DependsOnTheSeedAndRefusesBadShares) {
  int different = 0;
  for (std::int64_t i = 0; i < 1000; ++i) {
    EXPECT_FALSE(Split(0.0, 1).is_validation(i));
    different += Split(0.1, 1).is_validation(i) != Split(0.1, 2).is_validation(i);
  }
  EXPECT_GT(different, 100);
  for (const double bad : {-0.1, 1.0, 2.0, std::nan("")}) EXPECT_THROW(Split(bad, 1), DeckError);
}

TEST(Split, NeverChanges) {
  std::vector<std::int64_t> validation;
  for (std::int64_t i = 0; i < 60; ++i)
    if (Split(0.1, 42).is_validation(i)) validation.push_back(i);
  EXPECT_THAT(validation, ::testing::ElementsAre(4, 14, 27, 35, 45, 58));
}

}  // namespace
}  // namespace strata
