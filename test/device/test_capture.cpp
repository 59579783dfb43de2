// Work of a GPU's queue that is captured and given again: it does what the ops did, with what the memory holds by then.
#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <vector>

#include "strata/base/error.hpp"
#include "support/device.hpp"

namespace strata::test {
namespace {

class Capture : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test_gpu()) GTEST_SKIP() << "the host has no queue";
    arena_.emplace(test_arena(1 << 16, 1 << 12));
    for (int i = 0; i < 3; ++i) at_.push_back(static_cast<float*>(arena_->take("values", 64)));
    pinned_ = static_cast<float*>(arena_->take("host.values", 64));
  }
  void set(int place, float value) { copy_memory(at_[static_cast<std::size_t>(place)], &value, sizeof value); }
  float get(int place) {
    float value = 0;
    copy_memory(&value, at_[static_cast<std::size_t>(place)], sizeof value);
    return value;
  }
  void copy(int from, int to) { test_gpu()->copy(at_[static_cast<std::size_t>(to)], at_[static_cast<std::size_t>(from)], sizeof(float)); }
  std::optional<Arena> arena_;
  std::vector<float*> at_;
  float* pinned_ = nullptr;
};

TEST_F(Capture, DoesNothingUntilLaunchedAndReadsMemoryAtEachLaunch) {
  set(0, 1), set(1, 2), set(2, 3);
  GpuCapture capture(*test_gpu());
  copy(0, 1), copy(1, 2);
  const auto graph = capture.take();
  ASSERT_NE(graph, nullptr);
  EXPECT_EQ(graph->pieces(), 2);
  EXPECT_EQ(get(2), 3);

  graph->launch();
  EXPECT_EQ(get(1), 1);
  EXPECT_EQ(get(2), 1);
  set(0, 5);
  graph->launch(), graph->launch();
  EXPECT_EQ(get(2), 5);
}

TEST_F(Capture, TakesPageLockedMemoryAndIsNothingWhereNothingWasGiven) {
  {
    GpuCapture empty(*test_gpu());
    EXPECT_EQ(empty.take(), nullptr);
  }
  GpuCapture capture(*test_gpu());
  test_gpu()->copy(at_[0], pinned_, sizeof(float));
  const auto graph = capture.take();
  *pinned_ = 7;
  graph->launch();
  EXPECT_EQ(get(0), 7);
}

TEST_F(Capture, WhatItForbidsSpoilsItAndTheQueueGoesOn) {
  set(0, 1);
  float ordinary = 9;
  const std::vector<std::function<void()>> forbidden{[] { test_gpu()->wait(); },
                                                     [&] { test_gpu()->copy(at_[0], &ordinary, sizeof ordinary); },
                                                     [&] { test_gpu()->release(test_gpu()->allocate(256)); }};
  for (const auto& act : forbidden) {
    GpuCapture capture(*test_gpu());
    copy(0, 1);
    EXPECT_THROW(act(), Error);
    EXPECT_THROW(capture.take(), Error);
    EXPECT_EQ(get(0), 1);
  }
  {
    const GpuCapture forgotten(*test_gpu());
    copy(1, 0);
  }
  copy(0, 2);
  EXPECT_EQ(get(2), 1);
}

}  // namespace
}  // namespace strata::test
