// Products by tuned algorithms: what is noted is tuned, what a tuning names is used, and what it may not name is refused. On a GPU, real or
// emulated.
#include <cstring>

#include "ops/gradient_check.hpp"
#include "strata/base/error.hpp"
#include "strata/device/blas.hpp"
#include "strata/device/tuning.hpp"

namespace strata::test {
namespace {

constexpr std::int64_t M = 24, N = 40, K = 200;

/// Products of every kind that ops ask for, on a GPU of their own, so that no tuning stays behind.
class Products {
 public:
  Products() : gpu_(open_gpu(0, 1)), pool_(1), stream_(Stream::cuda(*gpu_, pool_)) {}
  Gpu& gpu() { return *gpu_; }

  /// From now on all operands lie so many bytes behind where cudaMalloc has them begin.
  void move(std::int64_t bytes) { moved_ = bytes; }

  /// All of them, one after the other: the bytes of what came.
  std::vector<std::string> run() {
    std::vector<std::string> all;
    for (const DType type : {DType::f32, DType::bf16, DType::f64}) {
      all.push_back(product(type, type, Write::set, false, false));
      all.push_back(product(type, type, Write::set, true, true));
      all.push_back(product(type, type == DType::bf16 ? DType::f32 : type, Write::add, false, false));
    }
    return all;
  }

  /// A^T B: a weight's gradient in f32, set or added to `old`.
  std::vector<float> gradient(Write write, std::vector<float>& old) {
    gradient_ = true;
    const std::string bytes = product(DType::f32, DType::f32, write, false, false);
    gradient_ = false;
    std::vector<float> values(static_cast<std::size_t>(M * N));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    const Doubles before = random_values(M * N, 3);
    old.assign(before.begin(), before.end());
    return values;
  }

 private:
  std::string product(DType in, DType out, Write write, bool with_bias, bool with_residual) {
    const auto bytes = [](std::int64_t n, DType type) { return n * static_cast<std::int64_t>(size_of(type)); };
    Arena arena(*gpu_, bytes(M * K + N * K + N, in) + 2 * bytes(M * N, out) + 8 * Arena::alignment + moved_);
    arena.take("moved", moved_);
    const auto matrix = [&](std::int64_t n, DType type, std::uint64_t seed) {
      void* const memory = arena.take("operand", bytes(n, type));
      const TestTensor values(type, Shape{n}, random_values(n, seed));
      copy_memory(memory, values.view().data(), bytes(n, type));
      return memory;
    };
    void *const a = matrix(M * K, in, 1), *const b = matrix(N * K, in, 2), *const c = matrix(M * N, out, 3);
    void *const residual = matrix(M * N, out, 4), *const bias = matrix(N, in, 5);
    const MatrixRef left = gradient_ ? MatrixRef{a, M, true} : MatrixRef{a, K, false}, right{b, gradient_ ? N : K, !gradient_};
    gemm(stream_, M, N, K, in, left, right, out, c, N, write, with_bias ? bias : nullptr, with_residual ? residual : nullptr, N);
    std::string result(static_cast<std::size_t>(bytes(M * N, out)), 0);
    copy_memory(result.data(), c, static_cast<std::int64_t>(result.size()));
    return result;
  }

  std::unique_ptr<Gpu> gpu_;
  ThreadPool pool_;
  Stream stream_;
  bool gradient_ = false;
  std::int64_t moved_ = 0;
};

Tuning tuned() {
  Products products;
  products.gpu().note_products();
  products.run();
  Tuning tuning = products.gpu().tune_products(8, 0.1);
  tuning.origin = "t.tuning";
  return tuning;
}

TEST(Tuning, EveryProductThatWasNotedIsNamed) {
  if (!tests_on_gpu()) GTEST_SKIP() << "runs on a GPU";
  const Tuning tuning = tuned();

  EXPECT_EQ(tuning_refusal(tuning, open_gpu(0, 1)->facts()), "");
  EXPECT_GT(tuning.cublaslt, 0);
  const std::vector<std::string> expected = {"fp32_nt_24x40x200_to_fp32_a200_b200_c40_align16",
                                             "fp32_nt_24x40x200_to_fp32_a200_b200_c40_old40_bias_align16",
                                             "fp32_nt_24x40x200_to_fp32_a200_b200_c40_own_align16",
                                             "bf16_nt_24x40x200_to_bf16_a200_b200_c40_align16",
                                             "bf16_nt_24x40x200_to_bf16_a200_b200_c40_old40_bias_align16",
                                             "bf16_nt_24x40x200_to_fp32_a200_b200_c40_own_align16",
                                             "fp64_nt_24x40x200_to_fp64_a200_b200_c40_align16",
                                             "fp64_nt_24x40x200_to_fp64_a200_b200_c40_old40_bias_align16",
                                             "fp64_nt_24x40x200_to_fp64_a200_b200_c40_own_align16"};
  EXPECT_EQ(tuning.products.size(), expected.size());
  for (const std::string& name : expected) {
    ASSERT_EQ(tuning.products.count(name), 1u) << name;
    const TunedProduct& product = tuning.products.at(name);
    EXPECT_GT(product.us, 0);
    EXPECT_GT(product.first_us, 0);
    EXPECT_GE(product.tried, 1);
    EXPECT_TRUE(product.algorithm.values[3] == 0 || product.algorithm.values[3] == 2) << "adds in a fixed order";
  }
}

// An arena places tensors by 64 bytes, and where differs between strategies and numbers of ranks.
TEST(Tuning, ProductsHaveTheSameBitsWhereverTheirOperandsLie) {
  if (!tests_on_gpu()) GTEST_SKIP() << "runs on a GPU";
  Products products;
  const std::vector<std::string> first = products.run();

  for (const std::int64_t bytes : {64, 128, 192}) {
    products.move(bytes);
    EXPECT_TRUE(products.run() == first) << bytes;
  }
}

// The emulation's algorithm 2 adds from the back: other last bits, the same on every call.
TEST(Tuning, WhatItNamesIsUsed) {
  if (!tests_on_gpu() || !open_gpu(0, 1)->facts().emulated) GTEST_SKIP() << "knows the emulation's algorithms";
  Tuning tuning = tuned();
  for (auto& [name, product] : tuning.products) product.algorithm = {{2, 18, 1, 0, 0, 0, 4, 0, 0}};
  Products products;
  const std::vector<std::string> plain = products.run();

  products.gpu().use_tuning(tuning);
  const std::vector<std::string> backward = products.run();
  tuning.products.erase("fp32_nt_24x40x200_to_fp32_a200_b200_c40_align16");
  products.gpu().use_tuning(tuning);
  const std::vector<std::string> without_one = products.run();

  int differ = 0;
  for (std::size_t i = 0; i < plain.size(); ++i) differ += plain[i] != backward[i] ? 1 : 0;
  EXPECT_GE(differ, 7) << "bf16 outputs may round to the same";
  EXPECT_NE(plain[0], backward[0]);
  const auto* expected = reinterpret_cast<const float*>(plain[0].data());
  const auto* found = reinterpret_cast<const float*>(backward[0].data());
  for (std::int64_t i = 0; i < M * N; ++i) ASSERT_NEAR(found[i], expected[i], 1e-4) << i;
  EXPECT_EQ(without_one[0], plain[0]) << "what is not listed takes the heuristic's first";
  EXPECT_EQ(std::vector(without_one.begin() + 1, without_one.end()), std::vector(backward.begin() + 1, backward.end()));
}

// Which of the two happens depends on the rank that computes it.
TEST(Tuning, AWeightsGradientIsSetAndAddedByOneAlgorithm) {
  if (!tests_on_gpu()) GTEST_SKIP() << "runs on a GPU";
  const std::string name = "fp32_tn_24x40x200_to_fp32_a24_b40_c40_own_align16";
  Products products;
  std::vector<float> old;
  products.gpu().note_products();
  const std::vector<float> plain = products.gradient(Write::set, old);
  products.gradient(Write::add, old);
  Tuning tuning = products.gpu().tune_products(8, 0.1);
  ASSERT_EQ(tuning.products.size(), 1u);
  ASSERT_EQ(tuning.products.count(name), 1u) << tuning.products.begin()->first;
  auto& algorithm = tuning.products[name].algorithm;
  EXPECT_EQ(algorithm.values[2], 1) << "in one part";

  if (products.gpu().facts().emulated) algorithm = {{2, 18, 1, 0, 0, 0, 4, 0, 0}};
  products.gpu().use_tuning(tuning);
  const std::vector<float> set = products.gradient(Write::set, old), added = products.gradient(Write::add, old);

  if (products.gpu().facts().emulated) {
    EXPECT_NE(set, plain);
  }
  for (std::size_t i = 0; i < set.size(); ++i) ASSERT_EQ(added[i], old[i] + set[i]) << i;
  algorithm.values[2] = 2, algorithm.values[3] = 2;
  EXPECT_THROW(products.gpu().use_tuning(tuning), DeckError);
}

// The emulation's first choice holds the scratch it wants, which is no attribute: its bytes stand in the file.
TEST(Tuning, AnAlgorithmThatItsAttributesDoNotTellIsKeptByItsBytes) {
  if (!tests_on_gpu() || !open_gpu(0, 1)->facts().emulated) GTEST_SKIP() << "knows the emulation's algorithms";
  Products products;
  products.gpu().note_products();
  const std::vector<std::string> plain = products.run();
  Tuning tuning = products.gpu().tune_products(1, 0.1);
  for (const auto& [name, product] : tuning.products) EXPECT_EQ(product.algorithm.data.size(), 128u) << name;

  products.gpu().use_tuning(tuning);
  EXPECT_EQ(products.run(), plain);

  TunedProduct& one = tuning.products.begin()->second;
  const TunedProduct good = one;
  one.algorithm.values[6] = 3;  // not what the bytes say
  EXPECT_THROW(products.gpu().use_tuning(tuning), DeckError);
  one = good, one.algorithm.data.replace(80, 8, "00000000");  // what the emulation knows its own by
  EXPECT_THROW(products.gpu().use_tuning(tuning), DeckError);
}

TEST(Tuning, OtherGpusLibrariesAndAlgorithmsAreRefused) {
  if (!tests_on_gpu()) GTEST_SKIP() << "runs on a GPU";
  Products products;
  const auto refusal = [&](const Tuning& tuning) -> std::string {
    try {
      products.gpu().use_tuning(tuning);
    } catch (const DeckError& e) {
      return e.what();
    }
    return "none";
  };
  Tuning tuning = tuned();
  EXPECT_EQ(refusal(tuning), "none");

  Tuning other = tuning;
  other.cublaslt += 1;
  EXPECT_NE(refusal(other).find("device.tuning = t.tuning: the tuning file is of "), std::string::npos) << refusal(other);
  other = tuning, other.major = 7;
  EXPECT_NE(refusal(other).find("(compute capability 7."), std::string::npos) << refusal(other);
  other = tuning;
  TunedProduct& product = other.products.begin()->second;
  product.where = "t.tuning:12", product.algorithm = {{1, 30000, 1, 0, 0, 0, 0, 0, 0}};
  EXPECT_EQ(refusal(other).rfind("t.tuning:12: products.bf16_nt_24x40x200", 0), 0u) << refusal(other);
  EXPECT_NE(refusal(other).find("expected an algorithm of cuBLASLt "), std::string::npos) << refusal(other);
}

}  // namespace
}  // namespace strata::test
