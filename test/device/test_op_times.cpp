// Op times: rates that were measured are given back, those between lie between, and what is unknown gets the machine's peaks.
#include <gtest/gtest.h>

#include "strata/device/op_times.hpp"

namespace strata {
namespace {

Machine machine() {
  Machine m;
  m.cores = 2, m.fp32_gflops = 200, m.bf16_gflops = 400, m.fp64_gflops = 100;
  m.read_gbs = 20, m.copy_gbs = 30, m.triad_gbs = 25;
  return m;
}

TEST(OpNames, ReadBack) {
  for (const OpSizes sizes : {OpSizes{DType::f32, {7}}, OpSizes{DType::bf16, {512, 1024}}, OpSizes{DType::f64, {1, 22, 333}}}) {
    std::string op;
    OpSizes read;
    ASSERT_TRUE(parse_op_name(op_name("rms_norm_forward", sizes), op, read)) << op_name("rms_norm_forward", sizes);
    EXPECT_EQ(op, "rms_norm_forward");
    EXPECT_TRUE(read == sizes);
  }
  std::string op;
  OpSizes sizes;
  for (const char* bad : {"", "rope", "rope_fp32", "rope_fp32_", "rope_fp32_x", "rope_fp32_5x", "rope_fp16_5", "rope_fp32_5x6x7x8",
                          "_fp32_5", "rope_fp32_-5", "rope_fp32_05", "rope_fp32_5 "})
    EXPECT_FALSE(parse_op_name(bad, op, sizes)) << bad;
}

TEST(OpTimes, WhatWasMeasuredIsGivenBack) {
  Machine m = machine();
  m.ops = {{"adamw_update_fp32_1000", 3}, {"adamw_update_fp32_1000000", 9}, {"swiglu_forward_bf16_64x64", 5}};
  const OpTimes times(m);
  EXPECT_NEAR(times.seconds("adamw_update", {DType::f32, {1000}}, 1, 3e9), 1.0, 1e-3);
  EXPECT_NEAR(times.seconds("adamw_update", {DType::f32, {1000000}}, 1, 9e9), 1.0, 1e-3);
  EXPECT_NEAR(times.seconds("swiglu_forward", {DType::bf16, {64, 64}}, 1, 5e9), 1.0, 1e-3);
  // One size alone speaks for all.
  EXPECT_NEAR(times.seconds("swiglu_forward", {DType::bf16, {4096, 64}}, 1, 5e9), 1.0, 1e-3);
}

TEST(OpTimes, BetweenSizesRatesLieBetweenAndBeyondThemTheyStay) {
  Machine m = machine();
  for (const std::int64_t rows : {64, 512, 4096})
    for (const std::int64_t width : {64, 512, 4096})
      m.ops[op_name("linear_forward", {DType::f32, {rows, width, width}})] =
          50 + 10 * static_cast<double>(rows > 64) + (width > 64 ? 20 : 0);
  const OpTimes times(m);
  const auto rate = [&](std::int64_t rows, std::int64_t width) {
    return 1e-9 / times.seconds("linear_forward", {DType::f32, {rows, width, width}}, 1, 1);
  };
  EXPECT_GT(rate(180, 512), rate(64, 512));
  EXPECT_LT(rate(180, 512), 80.0001);
  EXPECT_GT(rate(512, 180), 60);
  EXPECT_LT(rate(512, 180), 80);
  EXPECT_LE(rate(1 << 20, 1 << 16), 80.0001);
  EXPECT_GE(rate(1, 1), 49.9999);
}

TEST(OpTimes, WhatWasNotMeasuredGetsThePeaks) {
  Machine m = machine();
  m.products = {{"bf16_nt_512x1024x1024", 321}};
  const OpTimes times(m);
  EXPECT_FALSE(times.measured("linear_forward", DType::f32));
  EXPECT_NEAR(times.seconds("linear_forward", {DType::f32, {8, 8, 8}}, 2e11, 1), 1.0, 1e-9);
  EXPECT_NEAR(times.seconds("rope_forward", {DType::f32, {8, 8}}, 1e15, 3e10), 1.0, 1e-9);
  // A product says how fast the map is that consists of it.
  EXPECT_NEAR(times.seconds("linear_forward", {DType::bf16, {512, 1024, 1024}}, 3.21e11, 1), 1.0, 1e-3);
  EXPECT_EQ(times.seconds("fill", {DType::f32, {8}}, 0, 0), 0);
}

TEST(OpTimes, AFusedOpThatWasNotMeasuredTakesAsLongAsItsParts) {
  Machine m = machine();
  const OpSizes heads{DType::bf16, {4096, 128}};
  m.ops = {{op_name("rms_norm_forward", heads), 4}, {op_name("rope_forward", heads), 12}};
  EXPECT_NEAR(OpTimes(m).seconds("qk_norm_rope_forward", heads, 1, 12e9), 3 + 1, 1e-3);
  EXPECT_NEAR(OpTimes(m).seconds("qk_norm_rope_backward", heads, 1, 30e9), 1, 1e-6) << "parts that were not measured: memory";
  m.ops[op_name("qk_norm_rope_forward", heads)] = 6;
  EXPECT_NEAR(OpTimes(m).seconds("qk_norm_rope_forward", heads, 1, 12e9), 2, 1e-3);
}

}  // namespace
}  // namespace strata
