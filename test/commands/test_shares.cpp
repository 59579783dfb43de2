// Shares: who computes how many micro-batches, who waits, and on which numbers of ranks nobody would.
#include "commands/shares.hpp"

#include <gtest/gtest.h>

namespace strata {
namespace {

using Leaves = std::vector<std::int64_t>;

TEST(Shares, OnceAStepBlocksAreDealtInRuns) {
  EXPECT_EQ(shares_of({6, 1, false, 0}, 4).of_rank, (Leaves{1, 2, 1, 2}));
  EXPECT_EQ(shares_of({6, 2, false, 0}, 4).of_rank, (Leaves{0, 2, 2, 2}));
  EXPECT_EQ(shares_of({7, 2, false, 0}, 2).of_rank, (Leaves{4, 3}));
  EXPECT_TRUE(shares_of({6, 1, false, 0}, 3).even());
  EXPECT_DOUBLE_EQ(shares_of({6, 1, false, 0}, 4).busy(), 0.75);
}

TEST(Shares, WhereGradientsAreScatteredMicroBatchesAreDealtInTurn) {
  EXPECT_EQ(shares_of({6, 1, true, 0}, 4).of_rank, (Leaves{2, 2, 1, 1}));
  EXPECT_EQ(shares_of({6, 2, true, 0}, 6).of_rank, (Leaves{1, 1, 1, 1, 1, 1}));
}

TEST(Shares, GroupsTakeRunsAndTheirRanksTurns) {
  EXPECT_EQ(shares_of({6, 1, true, 4}, 8).of_rank, (Leaves{1, 1, 1, 0, 1, 1, 1, 0}));
  EXPECT_TRUE(shares_of({6, 1, true, 3}, 6).even());
  // One group has five, the other four: its ranks wait in the last round.
  EXPECT_EQ(shares_of({9, 1, true, 2}, 4).of_rank, (Leaves{2, 2, 3, 2}));
  EXPECT_EQ(shares_of({9, 1, true, 2}, 4).most, 3);
}

TEST(Shares, WhoIdlesHowLong) {
  EXPECT_EQ(idle_text(shares_of({6, 1, true, 0}, 4)), "ranks 2 to 3 idle 50% of a step");
  EXPECT_EQ(idle_text(shares_of({6, 1, false, 0}, 8)), "rank 0 idles all of a step, rank 4 idles all of a step");
  EXPECT_EQ(idle_text(shares_of({9, 1, false, 0}, 16)),
            "rank 0 idles all of a step, rank 2 idles all of a step, rank 4 idles all of a step, and others");
  EXPECT_EQ(idle_text(shares_of({6, 1, true, 0}, 3)), "");
}

TEST(Shares, NumbersOfRanksOnWhichNobodyIdles) {
  const auto even = [](const Dealing& dealing, int ranks) {
    const EvenRanks found = even_ranks(dealing, ranks);
    return std::pair(found.below, found.above);
  };
  EXPECT_EQ(even({6, 1, false, 0}, 5), std::pair(3, 6));
  EXPECT_EQ(even({6, 1, false, 0}, 8), std::pair(6, 0));
  EXPECT_EQ(even({6, 2, false, 0}, 4), std::pair(3, 0));
  EXPECT_EQ(even({24, 1, true, 4}, 16), std::pair(12, 24));
  EXPECT_EQ(even({6, 1, true, 4}, 8), std::pair(0, 0));
}

}  // namespace
}  // namespace strata
