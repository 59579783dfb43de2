// How many sequences each step takes, and where a run ends.
#include <gtest/gtest.h>

#include <limits>

#include "strata/train/loop.hpp"

namespace strata::test {
namespace {

using Accumulation = std::vector<std::pair<std::int64_t, std::int64_t>>;

BatchConfig global_batch(std::int64_t global, std::int64_t micro) {
  BatchConfig batch;
  batch.global = global, batch.micro = micro;
  return batch;
}
BatchConfig accumulated(Accumulation accumulation, std::int64_t micro) {
  BatchConfig batch;
  batch.accumulation = std::move(accumulation), batch.micro = micro;
  return batch;
}
TrainConfig until(std::int64_t max_steps, std::int64_t epochs) {
  TrainConfig train;
  train.max_steps = max_steps, train.epochs = epochs;
  return train;
}

// The sequences of every step, as the loop walks through them.
std::vector<std::int64_t> walk(const StepPlan& plan) {
  std::vector<std::int64_t> steps;
  for (std::int64_t cursor = 0; static_cast<std::int64_t>(steps.size()) < plan.total_steps();) {
    const std::int64_t sequences = plan.sequences_at(cursor);
    if (sequences == 0) break;
    steps.push_back(sequences);
    cursor += sequences;
  }
  return steps;
}
using Steps = std::vector<std::int64_t>;

TEST(StepPlan, GlobalDecidesWhateverTheRanks) {
  for (int ranks : {1, 2, 3, 8}) {
    const StepPlan plan(global_batch(8, 2), until(5, 0), 100, ranks);
    EXPECT_EQ(walk(plan), Steps(5, 8)) << ranks;
    EXPECT_EQ(plan.most_leaves(), 4) << ranks;
    EXPECT_EQ(plan.steps_per_epoch(), 13) << ranks;
  }
}

TEST(StepPlan, WithoutGlobalEveryRankTakesOneMicroBatch) {
  const StepPlan plan(global_batch(0, 4), until(2, 0), 100, 3);
  EXPECT_EQ(walk(plan), Steps({12, 12}));
  EXPECT_EQ(plan.most_leaves(), 3);
}

TEST(StepPlan, MaxStepsAloneGoesOnThroughTheEpochs) {
  const StepPlan plan(global_batch(8, 2), until(7, 0), 20, 1);  // 56 sequences of 20 samples
  EXPECT_EQ(plan.total_steps(), 7);
  EXPECT_EQ(walk(plan), Steps(7, 8));
  EXPECT_EQ(plan.sequences_at(1000), 8);
  EXPECT_DOUBLE_EQ(plan.epoch_at(50), 2.5);
}

TEST(StepPlan, EpochsEndWithASmallerStep) {
  const StepPlan plan(global_batch(8, 2), until(0, 1), 21, 1);
  EXPECT_EQ(walk(plan), Steps({8, 8, 5}));
  EXPECT_EQ(plan.total_steps(), 3);
  EXPECT_EQ(plan.sequences_at(16), 5);
  EXPECT_EQ(plan.leaves(5), 3);  // 2 + 2 + 1, the last one partly empty
  EXPECT_EQ(plan.sequences_at(21), 0);
  EXPECT_EQ(plan.sequences_at(22), 0);
}

TEST(StepPlan, AStepMayCrossIntoTheNextEpoch) {
  const StepPlan plan(global_batch(8, 2), until(0, 3), 21, 1);  // 63 sequences
  EXPECT_EQ(walk(plan), Steps({8, 8, 8, 8, 8, 8, 8, 7}));
  EXPECT_EQ(plan.total_steps(), 8);
}

TEST(StepPlan, EpochsThatFitEndWithAFullStep) {
  EXPECT_EQ(walk(StepPlan(global_batch(8, 2), until(0, 2), 20, 1)), Steps(5, 8));
  EXPECT_EQ(walk(StepPlan(global_batch(8, 2), until(0, 1), 5, 1)), Steps({5}));
}

TEST(StepPlan, TheFirstLimitThatIsReachedEndsTheRun) {
  EXPECT_EQ(walk(StepPlan(global_batch(8, 2), until(2, 1), 21, 1)), Steps({8, 8}));
  EXPECT_EQ(StepPlan(global_batch(8, 2), until(2, 1), 21, 1).total_steps(), 2);
  EXPECT_EQ(walk(StepPlan(global_batch(8, 2), until(100, 1), 21, 1)), Steps({8, 8, 5}));
  EXPECT_EQ(StepPlan(global_batch(8, 2), until(100, 1), 21, 1).total_steps(), 3);
}

TEST(StepPlan, AccumulationIsMicroTimesFactorTimesRanks) {
  const StepPlan plan(accumulated({{0, 4}}, 3), until(2, 0), 1000, 2);
  EXPECT_EQ(walk(plan), Steps({24, 24}));
  EXPECT_EQ(plan.most_leaves(), 8);
}

TEST(StepPlan, AccumulationByEpoch) {
  const StepPlan plan(accumulated({{0, 8}, {5, 4}, {10, 2}}, 1), until(0, 12), 16, 1);
  // Epochs 0-4 (80 samples) by 8, 5-9 (80) by 4, 10 and 11 (32) by 2.
  Steps expected(10, 8);
  expected.insert(expected.end(), 20, 4);
  expected.insert(expected.end(), 16, 2);
  EXPECT_EQ(walk(plan), expected);
  EXPECT_EQ(plan.total_steps(), 46);
  EXPECT_EQ(plan.sequences_at(79), 8);
  EXPECT_EQ(plan.sequences_at(80), 4);
  EXPECT_EQ(plan.sequences_at(159), 4);
  EXPECT_EQ(plan.sequences_at(160), 2);
  EXPECT_EQ(plan.most_leaves(), 8);
  EXPECT_EQ(plan.steps_per_epoch(), 2);
}

TEST(StepPlan, BeforeTheFirstEntryTheFactorIsOne) {
  const StepPlan plan(accumulated({{1, 3}}, 2), until(0, 2), 8, 2);  // 4, 4, then 12 cut to the 8 left
  EXPECT_EQ(walk(plan), Steps({4, 4, 8}));
  EXPECT_EQ(plan.most_leaves(), 6);
  EXPECT_EQ(plan.steps_per_epoch(), 2);
}

TEST(StepPlan, MostLeavesAreThoseOfTheLargestStep) {
  EXPECT_EQ(StepPlan(accumulated({{0, 2}, {3, 16}, {6, 4}}, 2), until(0, 9), 64, 2).most_leaves(), 32);
  const StepPlan plan(global_batch(12, 4), until(0, 2), 50, 1);
  for (std::int64_t sequences : walk(plan)) EXPECT_LE(plan.leaves(sequences), plan.most_leaves());
}

}  // namespace
}  // namespace strata::test
