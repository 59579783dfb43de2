// Stream: cost record, workspace that is planned and then fixed, scratch per worker.
#include <gtest/gtest.h>

#include <cstring>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/device/stream.hpp"

namespace strata {
namespace {

TEST(Stream, PlanningRecordsCostsAndTheLargestWorkspace) {
  Stream plan = Stream::plan();
  EXPECT_TRUE(plan.planning());

  EXPECT_EQ(plan.workspace(100), nullptr);
  EXPECT_EQ(plan.workspace(5000), nullptr);
  EXPECT_EQ(plan.workspace(10), nullptr);
  (void)plan.record("linear_forward", 10, 4);
  (void)plan.record("linear_forward", 20, 4);
  (void)plan.record("rope_forward", 1, 2);

  EXPECT_EQ(plan.largest_workspace(), 5000);
  ASSERT_EQ(plan.costs().size(), 2U);
  EXPECT_EQ(plan.costs().at("linear_forward").calls, 2);
  EXPECT_EQ(plan.costs().at("linear_forward").flops, 30);
  EXPECT_EQ(plan.costs().at("linear_forward").bytes, 8);
  plan.reset_costs();
  EXPECT_TRUE(plan.costs().empty());
  EXPECT_EQ(plan.largest_workspace(), 5000);
}

TEST(Stream, WorkspaceGrowsWithoutAnArena) {
  ThreadPool pool(2);
  Stream stream = Stream::cpu(pool);
  EXPECT_FALSE(stream.planning());

  void* small = stream.workspace(100);
  ASSERT_NE(small, nullptr);
  EXPECT_EQ(stream.workspace(50), small);
  void* large = stream.workspace(1 << 20);
  std::memset(large, 1, 1 << 20);

  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(large) % 64, 0U);
  EXPECT_EQ(stream.workspace(100), large);
}

TEST(Stream, MemoryOfAnArenaIsPlannedAndFixed) {
  ThreadPool pool(2);
  Arena plan;
  Stream::plan_memory(plan, DeviceKind::cpu, 2, 4096);
  EXPECT_EQ(plan.used(), 2 * Stream::worker_scratch_bytes + Stream::product_scratch_bytes + 4096);

  Arena arena(plan.used());
  Stream stream = Stream::cpu(pool, arena, 4096);
  EXPECT_EQ(arena.used(), arena.capacity());
  EXPECT_NE(stream.workspace(4096), nullptr);
  try {
    stream.workspace(4097);
    FAIL() << "no error";
  } catch (const InternalError& error) {
    EXPECT_NE(std::string(error.what()).find("asks for 4097 bytes of workspace, 4096 were planned"), std::string::npos) << error.what();
  }
}

TEST(Stream, EveryWorkerHasItsOwnScratch) {
  ThreadPool pool(3);
  Stream stream = Stream::cpu(pool);
  for (int worker = 0; worker < 3; ++worker)
    std::memset(stream.worker_scratch(worker), worker + 1, static_cast<std::size_t>(Stream::worker_scratch_bytes));
  for (int worker = 0; worker < 3; ++worker) {
    const auto* bytes = static_cast<const unsigned char*>(stream.worker_scratch(worker));
    EXPECT_EQ(bytes[0], worker + 1);
    EXPECT_EQ(bytes[Stream::worker_scratch_bytes - 1], worker + 1);
  }
}

TEST(Stream, AMovedStreamKeepsItsRecordAndMemory) {
  ThreadPool pool(1);
  Stream first = Stream::cpu(pool);
  void* memory = first.workspace(64);
  (void)first.record("fill", 0, 1);
  Stream second(std::move(first));
  EXPECT_EQ(second.workspace(64), memory);
  EXPECT_EQ(second.costs().at("fill").calls, 1);
}

void spend(double seconds) {
  for (const Stopwatch watch; watch.seconds() < seconds;) {
  }
}

TEST(Stream, WithoutAProfileNoTimeIsTaken) {
  ThreadPool pool(1);
  Stream stream = Stream::cpu(pool);
  {
    const auto timed = stream.record("fill", 1, 2);
    const auto phase = stream.time("waiting");
  }
  EXPECT_FALSE(stream.profiling());
  EXPECT_TRUE(stream.profile().empty());
  EXPECT_EQ(stream.costs().at("fill").seconds, 0);
}

TEST(Stream, EveryInstantBelongsToTheInnermostRowAndAllAddUp) {
  ThreadPool pool(1);
  Stream stream = Stream::cpu(pool);
  (void)stream.record("before", 1, 1);
  stream.start_profile();
  const Stopwatch watch;
  {
    const auto step = stream.time("rest");
    spend(0.004);
    {
      const auto phase = stream.time("optimizer");
      spend(0.002);
      const auto op = stream.record("adamw_update", 10, 20);
      spend(0.006);
    }
    spend(0.001);
  }
  const double all = watch.seconds();

  const ProfileRows& rows = stream.profile();
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_GE(rows.at("rest").seconds, 0.005);
  EXPECT_GE(rows.at("optimizer").seconds, 0.002);
  EXPECT_GE(rows.at("adamw_update").seconds, 0.006);
  EXPECT_EQ(rows.at("adamw_update").flops, 10);
  EXPECT_EQ(rows.at("adamw_update").bytes, 20);
  EXPECT_EQ(rows.at("adamw_update").calls, 1);
  double sum = 0;
  for (const auto& [name, row] : rows) sum += row.seconds;
  EXPECT_LE(sum, all);
  EXPECT_GE(sum, 0.013);  // the sum is the outermost's time: nothing is counted twice or lost
  EXPECT_LT(all - sum, 0.002);
}

TEST(Stream, AWholePhaseTakesTheTimeAndCostOfItsOps) {
  ThreadPool pool(1);
  Stream stream = Stream::cpu(pool);
  stream.start_profile();
  {
    const auto whole = stream.time("validation", true);
    for (int i = 0; i < 3; ++i) {
      const auto op = stream.record("linear_forward", 5, 7);
      const auto phase = stream.time("waiting");
      spend(0.001);
    }
  }
  const auto after = stream.record("linear_forward", 1, 1);

  EXPECT_EQ(stream.profile().at("validation").flops, 15);
  EXPECT_EQ(stream.profile().at("validation").bytes, 21);
  EXPECT_EQ(stream.profile().at("validation").calls, 1);
  EXPECT_GE(stream.profile().at("validation").seconds, 0.003);
  EXPECT_EQ(stream.profile().at("linear_forward").flops, 1);
  EXPECT_EQ(stream.profile().count("waiting"), 0U);
  EXPECT_EQ(stream.costs().at("linear_forward").flops, 16);
}

}  // namespace
}  // namespace strata
