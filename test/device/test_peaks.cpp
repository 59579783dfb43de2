// Peaks: positive, consistent with each other, and never a question of how fast this machine is.
#include <gtest/gtest.h>

#include "strata/device/peaks.hpp"

namespace strata {
namespace {

TEST(ProductShape, NamesReadBack) {
  for (const char* name : {"bf16_nt_512x3072x1024", "fp32_nn_1x2x3", "fp64_tn_4096x1024x512"}) {
    ProductShape shape;
    ASSERT_TRUE(parse_product_shape(name, shape)) << name;
    EXPECT_EQ(shape.name(), name);
  }
  ProductShape shape;
  for (const char* name :
       {"", "fp32", "fp16_nt_1x1x1", "fp32_tt_1x1x1", "fp32_nn_0x1x1", "fp32_nn_1x1", "fp32_nn_1x1x1x1", "fp32_nn_01x1x1"})
    EXPECT_FALSE(parse_product_shape(name, shape)) << name;
}

TEST(Peaks, ProductsOfEveryTypeAndLayoutHaveARate) {
  ThreadPool pool(2);
  Stream stream = Stream::cpu(pool);
  for (const DType type : {DType::f32, DType::bf16, DType::f64})
    for (const char* layout : {"nn", "nt", "tn"}) {
      const ProductRate rate = product_rate(stream, {type, layout, 65, 70, 33}, 0.002);
      EXPECT_GT(rate.median, 0) << layout;
      EXPECT_GE(rate.best, rate.median);
      EXPECT_GE(rate.best, rate.early);
      EXPECT_GE(rate.best, rate.late);
      EXPECT_GT(rate.late, 0);
    }
}

TEST(Peaks, MemoryPoolAndClock) {
  ThreadPool pool(2);
  const MemoryRate rate = memory_rate(pool, 1 << 22, 0.02);
  EXPECT_GT(rate.read, 0);
  EXPECT_GT(rate.copy, 0);
  EXPECT_GT(rate.triad, 0);
  EXPECT_GE(rate.best(), rate.copy);
  EXPECT_GT(pool_latency(pool, 0.01), 0);
  const double clock = clock_rate(pool);
  EXPECT_GT(clock, 1e8);  // even a burst that was interrupted twenty times over
  EXPECT_LT(clock, 1e10);
  EXPECT_GE(beyond_caches(), 1 << 26);
}

}  // namespace
}  // namespace strata
