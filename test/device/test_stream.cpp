// Stream: cost record, workspace that is planned and then fixed, scratch per worker.
#include <gtest/gtest.h>

#include <cstring>

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
  plan.record("linear_forward", 10, 4);
  plan.record("linear_forward", 20, 4);
  plan.record("rope_forward", 1, 2);

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
  Stream::plan_memory(plan, 2, 4096);
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
  first.record("fill", 0, 1);
  Stream second(std::move(first));
  EXPECT_EQ(second.workspace(64), memory);
  EXPECT_EQ(second.costs().at("fill").calls, 1);
}

}  // namespace
}  // namespace strata
