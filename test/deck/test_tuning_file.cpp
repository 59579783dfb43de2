// Tuning files: what is written reads back; every mistake is said with its line, what was expected and what was found.
#include <gtest/gtest.h>

#include "strata/base/error.hpp"
#include "strata/deck/tuning_file.hpp"
#include "strata/device/gpu.hpp"

namespace strata {
namespace {

constexpr const char* plain = "bf16_nt_512x4096x1024_to_bf16_a1024_b1024_c4096_align16";
constexpr const char* full = "fp32_tn_3x5x7_to_fp32_a9_b11_c13_old17_bias_align4";

Tuning sample() {
  Tuning t{"NVIDIA H200, \"one\"", 9, 0, 130002, "2026-11-22 07:00:00, Strata 0.1.0", "", {}};
  t.products[plain] = {{{66, 20, 1, 0, 1, 0, 35, 0, 3}}, 12.5, 14.25, 9, ""};
  t.products[full] = {{{21, 18, 4, 2, 0, 1, 8, 2, 0}, std::string(126, 'a') + "09"}, 3, 3, 2, ""};
  return t;
}

std::string complaint(std::string text) {
  try {
    parse_tuning("t.tuning", text);
  } catch (const DeckError& e) {
    return e.what();
  }
  return "none";
}

// The sample's text with the first `what` replaced.
std::string with(const std::string& what, const std::string& by) {
  std::string text = tuning_text(sample());
  return text.replace(text.find(what), what.size(), by);
}

TEST(TuningFile, ReadsBackWhatWasWritten) {
  const Tuning t = parse_tuning("t.tuning", tuning_text(sample()));

  EXPECT_EQ(tuning_text(t), tuning_text(sample()));
  EXPECT_EQ(t.gpu, sample().gpu);
  EXPECT_EQ(t.major, 9);
  EXPECT_EQ(t.minor, 0);
  EXPECT_EQ(t.cublaslt, 130002);
  EXPECT_EQ(t.measured, sample().measured);
  ASSERT_EQ(t.products.size(), 2U);
  EXPECT_EQ(t.products.at(plain).algorithm, sample().products.at(plain).algorithm);
  EXPECT_EQ(t.products.at(full).algorithm, sample().products.at(full).algorithm);
  EXPECT_EQ(t.products.at(plain).us, 12.5);
  EXPECT_EQ(t.products.at(plain).first_us, 14.25);
  EXPECT_EQ(t.products.at(plain).tried, 9);
  EXPECT_EQ(t.products.at(plain).where, "t.tuning:14") << tuning_text(sample());
}

TEST(TuningFile, MistakesAreSaidWithTheirLines) {
  const struct {
    const char *what, *by, *words;
  } cases[] = {
      {"id 66", "id -1", "t.tuning:14: products.bf16_nt_512x4096x1024_to_bf16_a1024_b1024_c4096_align16: expected id N, tile N, splits N"},
      {"tile 20", "tilo 20", "found \"id 66, tilo 20"},
      {"us 12.5", "us 0", "expected id N"},
      {", tried 9", "", "expected id N"},
      {"data aa", "data a", "perhaps data of 128 hexadecimal digits"},
      {"data aa", "data ga", "perhaps data of 128 hexadecimal digits"},
      {"reduction 2", "reduction 1",
       "t.tuning:15: products.fp32_tn_3x5x7_to_fp32_a9_b11_c13_old17_bias_align4: expected reduction 0 (none) or 2"},
      {"reduction 2", "reduction 4", "found 4"},
      {"cublaslt   = 130002", "cublaslt   = new", "t.tuning:7: tuning.cublaslt: expected a version like 130002, found \"new\""},
      {"capability = 9.0", "capability = 9", "expected a compute capability like 9.0, found \"9\""},
      {"[products]", "[product]", "[product]: no section of a tuning file; expected one of tuning, products"},
      {"capability", "capabilty", "unknown key; nearest: capability"},
      {"cublaslt   = 130002\n", "", "tuning.cublaslt is missing"},
      {"_align16", "_align17", "expected the name of a product like bf16_nt_512x4096x1024_to_bf16"},
      {"bf16_nt_512x4096x1024", "bf16_nx_512x4096x1024", "expected the name of a product"},
      {"512x4096x1024", "512x4096x0", "expected the name of a product"},
      {"_a1024", "_a01024", "expected the name of a product"},
  };
  for (const auto& [what, by, words] : cases) {
    const std::string said = complaint(with(what, by));
    EXPECT_NE(said.find(words), std::string::npos) << what << " -> " << by << "\n" << said;
  }
  const std::string line = tuning_text(sample()).substr(tuning_text(sample()).find("bf16_nt"));
  EXPECT_NE(complaint(tuning_text(sample()) + line).find("is given twice"), std::string::npos);
  EXPECT_NE(complaint("").find("tuning.gpu is missing"), std::string::npos);
}

TEST(ProductCase, NamesAreTheirInverse) {
  for (const char* name : {plain, full, "fp16_nn_1x2x3_to_fp32_a3_b2_c2_own_align2", "fp64_tt_1x2x3_to_fp64_a1_b3_c2_align1",
                           "bf16_nt_1x2x3_to_bf16_a3_b3_c2_old2_align16", "bf16_nt_1x2x3_to_bf16_a3_b3_c2_own_bias_align16"}) {
    ProductCase what;
    ASSERT_TRUE(parse_product_case(name, what)) << name;
    EXPECT_EQ(what.name(), name);
  }
  ProductCase what;
  ASSERT_TRUE(parse_product_case(full, what));
  EXPECT_EQ(what.in, DType::f32);
  EXPECT_TRUE(what.a_transposed);
  EXPECT_FALSE(what.b_transposed);
  EXPECT_EQ(what.k, 7);
  EXPECT_EQ(what.c_stride, 13);
  EXPECT_EQ(what.old_stride, 17);
  EXPECT_EQ(what.epilogue, "bias");
  EXPECT_EQ(what.alignment, 4);
  for (const char* name :
       {"", "bf16", "bf16_nt_512x4096x1024", "bf16_nt_512x4096_to_bf16_a1_b1_c1_align16", "_________",
        "bf16_nt_1x2x3_to_bf16_a3_b3_c2_old2_bias_more_align16", "bf16_nt_1x2x99999999999999999999_to_bf16_a3_b3_c2_align16"})
    EXPECT_FALSE(parse_product_case(name, what)) << name;
}

TEST(Tuning, BelongsToOneGpuAndOneLibrary) {
  GpuFacts facts;
  facts.name = "NVIDIA H200, \"one\"", facts.major = 9, facts.minor = 0, facts.cublaslt = 130002;
  EXPECT_EQ(tuning_refusal(sample(), facts), "");
  facts.cublaslt = 130003;
  EXPECT_EQ(tuning_refusal(sample(), facts),
            "the tuning file is of NVIDIA H200, \"one\" (compute capability 9.0) with cuBLASLt 130002, this is NVIDIA H200, \"one\" "
            "(compute capability 9.0) with cuBLASLt 130003");
  facts.cublaslt = 130002, facts.name = "NVIDIA H100";
  EXPECT_NE(tuning_refusal(sample(), facts), "");
}

}  // namespace
}  // namespace strata
