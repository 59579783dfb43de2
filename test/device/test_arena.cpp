// Arena: planned equals allocated, alignment, names, and refusal beyond the plan.
#include <gtest/gtest.h>

#include <cstring>

#include "strata/base/error.hpp"
#include "strata/device/arena.hpp"

namespace strata {
namespace {

void take_all(Arena& arena) {
  arena.take("state.weight", 1000);
  arena.take("state.exp_avg", 64);
  arena.take("activations.layer.0.mlp", 1);
  arena.take("activations.layer.1.mlp", 0);
  arena.take("activations.logits", 65);
}

TEST(Arena, PlanningCountsAndTheRealOneIsExactlyThatSize) {
  Arena plan;
  EXPECT_TRUE(plan.planning());
  EXPECT_EQ(plan.take("first", 10), nullptr);
  take_all(plan);
  EXPECT_EQ(plan.used(), 64 + 1024 + 64 + 64 + 0 + 128);

  Arena real(plan.used());
  EXPECT_FALSE(real.planning());
  EXPECT_NE(real.take("first", 10), nullptr);
  take_all(real);
  EXPECT_EQ(real.used(), plan.used());
  EXPECT_EQ(real.used(), real.capacity());
  ASSERT_EQ(real.entries().size(), plan.entries().size());
  for (std::size_t i = 0; i < plan.entries().size(); ++i) {
    EXPECT_EQ(real.entries()[i].name, plan.entries()[i].name);
    EXPECT_EQ(real.entries()[i].bytes, plan.entries()[i].bytes);
  }
}

TEST(Arena, MemoryIsAlignedZeroedAndApart) {
  Arena arena(4096);
  auto* a = static_cast<unsigned char*>(arena.take("a", 100));
  auto* b = static_cast<unsigned char*>(arena.take("b", 100));
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % Arena::alignment, 0U);
  EXPECT_EQ(b - a, 128);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a[i], 0);
  std::memset(a, 1, 100);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(b[i], 0);
}

TEST(Arena, RefusesWhatWasNotPlannedByName) {
  Arena arena(128);
  arena.take("planned", 100);
  try {
    arena.take("late.guest", 1);
    FAIL() << "no error";
  } catch (const InternalError& error) {
    EXPECT_NE(std::string(error.what()).find("late.guest was not planned: 64 bytes beyond 128 of 128"), std::string::npos) << error.what();
  }
  EXPECT_EQ(arena.used(), 128);
  EXPECT_THROW(arena.take("negative", -1), InternalError);
}

TEST(Arena, TooMuchMemoryIsACapacityError) {
  EXPECT_THROW(Arena(std::int64_t{1} << 60), CapacityError);
}

TEST(Arena, SummaryGroupsByFirstPartsInOrder) {
  Arena plan;
  take_all(plan);

  const auto one = plan.summary(1);
  ASSERT_EQ(one.size(), 2U);
  EXPECT_EQ(one[0].name, "state");
  EXPECT_EQ(one[0].bytes, 1024 + 64);
  EXPECT_EQ(one[1].name, "activations");
  EXPECT_EQ(one[1].bytes, 64 + 128);

  const auto two = plan.summary(2);
  ASSERT_EQ(two.size(), 4U);
  EXPECT_EQ(two[2].name, "activations.layer");
  EXPECT_EQ(two[2].bytes, 64);
  EXPECT_EQ(two[3].name, "activations.logits");
}

TEST(Arena, CanBeCarvedAnewFromMemoryOfAnother) {
  Arena whole(1024);
  void* memory = whole.take("generation", 512);
  for (int pass = 0; pass < 2; ++pass) {
    Arena part(memory, 512);
    EXPECT_EQ(part.take("a", 200), memory);
    EXPECT_EQ(part.take("b", 200), static_cast<unsigned char*>(memory) + 256);
    EXPECT_THROW(part.take("c", 100), InternalError);
  }
  static_cast<unsigned char*>(memory)[511] = 1;  // still there after the parts are gone
}

TEST(Arena, AMovedArenaKeepsItsMemory) {
  Arena first(256);
  void* memory = first.take("a", 64);
  Arena second(std::move(first));
  EXPECT_EQ(second.take("b", 64), static_cast<unsigned char*>(memory) + 64);
  EXPECT_EQ(second.entries().size(), 2U);
}

}  // namespace
}  // namespace strata
