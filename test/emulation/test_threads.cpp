// The emulation's threads: barriers and shuffles work, and what is wrong with a kernel shows.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "emulation/emulation_fixture.hpp"
#include "emulation/kernels/kernels.hpp"

using strata::test::Device;
using strata::test::DeviceArray;
using strata::test::report_to_stderr;

TEST(EmulatedThreads, SumOfABlock) {
  Device device;
  std::vector<float> x(5000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 7);
  const DeviceArray<float> d_x(device, x), d_sums(device, 3);

  kernels::block_sum(d_x, d_sums, 5000, 3, 256, device.stream);

  const auto sums = d_sums.read();
  EXPECT_EQ(sums[0] + sums[1] + sums[2], std::accumulate(x.begin(), x.end(), 0.0f));
}

TEST(EmulatedThreads, OrdersDifferAndBarriersOrder) {
  Device device;
  const DeviceArray<int> d_x(device, 128), d_last(device, 1);

  kernels::neighbour(d_x, true, device.stream);
  const auto right = d_x.read();
  kernels::neighbour(d_x, false, device.stream);
  const auto wrong = d_x.read();
  kernels::last_block_wins(d_last, 1000, device.stream);

  int differ = 0;
  for (int i = 0; i < 128; ++i) {
    EXPECT_EQ(right[static_cast<std::size_t>(i)], (i + 1) % 128);
    differ += wrong[static_cast<std::size_t>(i)] != (i + 1) % 128 ? 1 : 0;
  }
  EXPECT_GT(differ, 20);
  EXPECT_NE(d_last.read()[0], 999);
}

TEST(EmulatedThreads, Shuffles) {
  Device device;
  const DeviceArray<int> d_x(device, 192);

  kernels::shuffles(d_x, device.stream);

  const auto x = d_x.read();
  for (int lane = 0; lane < 32; ++lane) {
    const auto at = [&](int row) { return x[static_cast<std::size_t>(32 * row + lane)]; };
    EXPECT_EQ(at(0), 7);
    EXPECT_EQ(at(1), lane < 3 ? lane : lane - 3);
    EXPECT_EQ(at(2), lane > 28 ? lane : lane + 3);
    EXPECT_EQ(at(3), lane ^ 1);
    EXPECT_EQ(at(4), lane / 8 * 8 + 1);
    EXPECT_EQ(at(5), lane < 16 ? lane ^ 8 : (lane % 4 == 3 ? lane : lane + 1));
  }
}

TEST(EmulatedThreads, VotesAndNamedBarriers) {
  Device device;
  const DeviceArray<unsigned> d_votes(device, 4);
  const DeviceArray<int> d_x(device, 192), d_counts(device, 4);

  kernels::votes(d_votes, device.stream);
  kernels::named_barriers(d_x, device.stream);
  kernels::sync_counts(d_counts, device.stream);

  EXPECT_EQ(d_votes.read(), (std::vector<unsigned>{0xaaaaaaaau, 1, 0, 496}));
  const auto x = d_x.read();
  for (int i = 0; i < 192; ++i) EXPECT_EQ(x[static_cast<std::size_t>(i)], i / 32 * 100 + 31 - i % 32);
  EXPECT_EQ(d_counts.read(), (std::vector<int>{3, 1, 0, 1}));
}

TEST(EmulatedThreads, SharedMemoryIsPoisonedBeforeEachBlock) {
  Device device;
  const DeviceArray<float> d_x(device, std::vector<float>(4, 0.0f));
  for (const bool dynamic : {false, true}) {
    kernels::uninitialised(d_x, dynamic, device.stream);
    for (const float x : d_x.read()) EXPECT_TRUE(std::isnan(x));
  }
}

TEST(EmulatedThreads, SharedMemoryOfTemplatesIsPoisonBeforeEachBlockAndCounted) {
  Device device;
  const DeviceArray<float> d_x(device, std::vector<float>(4, 0.0f));
  for (const bool function : {false, true}) {
    kernels::uninitialised_in_a_template(d_x, function, device.stream);
    for (const float x : d_x.read()) EXPECT_TRUE(std::isnan(x)) << function;
  }
  EXPECT_EQ(kernels::static_bytes_of_a_template(), 400U);
}

TEST(EmulatedThreads, SharedMemoryHasLimits) {
  Device device;
  const DeviceArray<int> d_x(device, 1);

  EXPECT_NO_THROW(kernels::shared_bytes(d_x, 48 * 1024, device.stream));
  EXPECT_EQ(cudaFuncSetAttribute(kernels::shared_kernel(), cudaFuncAttributeMaxDynamicSharedMemorySize, 228 * 1024), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFuncSetAttribute(kernels::shared_kernel(), cudaFuncAttributeMaxDynamicSharedMemorySize, 227 * 1024), cudaSuccess);
  EXPECT_NO_THROW(kernels::shared_bytes(d_x, 227 * 1024, device.stream));
  EXPECT_THROW(kernels::shared_bytes(d_x, 227 * 1024 + 4, device.stream), std::runtime_error);

  EXPECT_EQ(d_x.read()[0], 3);
  cudaFuncAttributes attributes;
  EXPECT_EQ(cudaFuncGetAttributes(&attributes, kernels::shared_kernel()), cudaSuccess);
  EXPECT_EQ(attributes.maxDynamicSharedSizeBytes, 227 * 1024);
}

// Cards of 8.0 and newer differ in it, and not by their age.
TEST(EmulatedThreads, TheLimitOfSharedMemoryIsThatOfTheCard) {
  Device device;
  const DeviceArray<int> d_x(device, 1);
  for (const auto& [architecture, limit] : {std::pair{"80", 163 * 1024}, {"86", 99 * 1024}, {"90", 227 * 1024}, {"120", 99 * 1024}}) {
    setenv("STRATA_EMULATION_ARCH", architecture, 1);
    int told = 0;
    EXPECT_EQ(cudaDeviceGetAttribute(&told, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0), cudaSuccess);
    EXPECT_EQ(told, limit) << architecture;
    EXPECT_NO_THROW(kernels::shared_bytes(d_x, static_cast<std::size_t>(limit), device.stream));
    EXPECT_THROW(kernels::shared_bytes(d_x, static_cast<std::size_t>(limit) + 4, device.stream), std::runtime_error);
  }
  unsetenv("STRATA_EMULATION_ARCH");
  EXPECT_EQ(d_x.read()[0], 3);
}

TEST(EmulatedThreads, LaunchesBeyondALimitAreRefused) {
  Device device;
  const DeviceArray<float> d_x(device, 1);
  EXPECT_THROW(kernels::block_sum(d_x, d_x, 1, 1, 1025, device.stream), std::runtime_error);
  EXPECT_THROW(kernels::block_sum(d_x, d_x, 1, 0, 32, device.stream), std::runtime_error);
  try {
    kernels::block_sum(d_x, d_x, 1, 1, 2048, device.stream);
  } catch (const std::runtime_error& error) {
    EXPECT_NE(std::string(error.what()).find("sum_kernel<float>"), std::string::npos) << error.what();
  }
}

TEST(EmulatedThreadsDeathTest, DeadlocksAreNamed) {
  EXPECT_DEATH(
      {
        Device device;
        kernels::divergent_barrier(device.stream);
        cudaStreamSynchronize(device.stream);
      },
      "deadlock in block \\(0,0,0\\)(.|\n)*1 of 64 threads returned; the first: thread \\(5,0,0\\)(.|\n)*63 of 64 threads wait at "
      "__syncthreads(.|\n)*in kernel kernels::.*divergent_kernel");
  EXPECT_DEATH(
      {
        Device device;
        kernels::shuffle_without_all(device.stream);
        cudaStreamSynchronize(device.stream);
      },
      "31 of 32 threads wait at __shfl_sync, mask 0xffffffff");
}

TEST(EmulatedThreadsDeathTest, StackOverflow) {
  EXPECT_DEATH(
      {
        report_to_stderr();
        Device device;
        const DeviceArray<int> d_x(device, std::vector<int>{1});
        kernels::recurse(d_x, 1000, device.stream);
        d_x.read();
      },
      "stack");
}
