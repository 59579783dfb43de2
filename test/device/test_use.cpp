// Use of devices: processors from /proc, GPUs from a library that stands in for the driver's.
#include "strata/device/use.hpp"

#include <gtest/gtest.h>

#include <chrono>

namespace strata {
namespace {

TEST(DeviceUse, ProcessorsAreBusyWhenTheyAre) {
  DeviceUseReader reader("libnothing.so");
  volatile double sum = 0;
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(200)) sum = sum + 1;
  const std::vector<DeviceUse> uses = reader.read();
  ASSERT_EQ(uses.size(), 1U);
  EXPECT_EQ(uses[0].device, "cpu");
  EXPECT_GT(uses[0].busy, 0.0);
  EXPECT_LE(uses[0].busy, 1.0);
  EXPECT_GT(uses[0].memory_used, 0);
  EXPECT_GT(uses[0].memory_total, uses[0].memory_used);
}

TEST(DeviceUse, GpusAreThoseThatAnswer) {
  DeviceUseReader reader(FAKE_NVML);
  const std::vector<DeviceUse> uses = reader.read();
  ASSERT_EQ(uses.size(), 2U);
  EXPECT_EQ(device_use_line("2026-11-22 01:02:03", "node7", uses[1]), "2026-11-22 01:02:03,node7,cuda:0,87.0,600,1000");
}

TEST(DeviceUse, ALibraryOfAnotherKindIsNoGpu) {
  EXPECT_EQ(DeviceUseReader("libm.so.6").read().size(), 1U);
}

}  // namespace
}  // namespace strata
