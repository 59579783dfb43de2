// cuDNN's attention: values and gradients against the plain formulas, padding, bits, graphs; what it does not take, and what is refused.
#include <algorithm>
#include <cstdlib>

#include "ops/attention_tensors.hpp"
#include "strata/device/gpu.hpp"
#include "strata/ops/attention.hpp"
#include "strata/ops/cudnn_attention.hpp"

namespace strata::test {
namespace {

using Index = std::int64_t;

/// Causal, or bidirectional with lengths where there are some. Computes by cuDNN's kernels unless `own`.
struct Case : AttentionTensors {
  bool causal, own = false;
  std::vector<std::int32_t> keys;  // first_key [B,S] or length [B]; empty: not given
  double p = 0;
  mutable TestIds ids{{}, Shape{0}}, samples{{}, Shape{0}};

  /// Rows of o and dout are padded by so many elements.
  Case(DType element, AttentionSize s, bool looks_back, Index padding = 8) : AttentionTensors(element, s), causal(looks_back) {
    const Shape shape{s.B, s.S, s.nh, s.hd};
    o = TestTensor(element, shape, padding);
    dout = TestTensor(element, shape, random_values(shape.elements(), 2), padding);
  }

  ConstView given() const {
    if (keys.empty()) return {};
    ids = TestIds(keys, causal ? Shape{size.B, size.S} : Shape{size.B});
    return ids;
  }
  Dropout dropout() const {
    samples = TestIds(std::vector<std::int32_t>(static_cast<std::size_t>(size.B), 5));
    return {p, 21, 8, 2, samples};
  }
  void choose(Stream& stream) const { stream.use_attention(own ? AttentionKernels::own : AttentionKernels::cudnn); }
  void forward(Stream& stream) {
    choose(stream);
    if (causal)
      attention_forward(stream, q(), k(), v(), given(), scale, o, lse);
    else
      bidirectional_attention_forward(stream, q(), k(), v(), given(), dropout(), scale, o, lse);
  }
  void backward(Stream& stream) {
    choose(stream);
    if (causal)
      attention_backward(stream, dout, q(), k(), v(), o, lse, given(), scale, dq(), dk(), dv());
    else
      bidirectional_attention_backward(stream, dout, q(), k(), v(), o, lse, given(), dropout(), scale, dq(), dk(), dv());
  }
  PlainAttention plain() const {
    PlainAttention all = unmasked();
    all.causal = causal;
    if (!causal) all.lengths = keys;
    return all;
  }
  Bytes results() {
    ThreadPool pool(1);
    Stream stream = test_stream(pool);
    forward(stream), backward(stream);
    return Bytes{o.bytes(), lse.bytes(), dfused.bytes()};
  }
};

constexpr DType narrow_types[] = {DType::bf16, DType::f16};

class FusedAttention : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!test_gpu()) GTEST_SKIP() << "cuDNN is for GPUs";
    if (const std::string why = cudnn_attention_refusal(); !why.empty()) GTEST_SKIP() << why;
  }
};

TEST_F(FusedAttention, ResultsEqualThePlainFormulas) {
  const AttentionSize sizes[] = {{2, 3, 2, 1, 8}, {2, 17, 4, 2, 16}, {1, 129, 4, 1, 64}, {2, 300, 2, 2, 128}, {3, 140, 3, 1, 24}};
  for (const DType type : narrow_types)
    for (const bool causal : {true, false})
      for (const AttentionSize& size : sizes) {
        Case c(type, size, causal);
        expect_plain_result(c, text(name_of_case(c), causal ? " causal" : ""));
      }
}

TEST_F(FusedAttention, PaddedKeysAreNotSeenByAnyQuery) {
  for (const DType type : narrow_types) {
    Case c(type, {4, 150, 2, 1, 16}, false);
    c.keys = {150, 97, 128, 5};
    expect_plain_result(c, name_of_case(c));
  }
}

TEST_F(FusedAttention, ASequenceWithoutKeysGivesZeros) {
  for (const DType type : narrow_types) {
    Case c(type, {2, 140, 1, 1, 8}, false);
    c.keys = {0, 140};
    c.dfused.set(Doubles(static_cast<std::size_t>(c.fused_shape().elements()), NAN));
    c.results();
    const Doubles o = c.o.values(), gradient = c.dfused.values();
    for (std::size_t i = 0; i < o.size() / 2; ++i) EXPECT_EQ(o[i], 0);
    for (std::size_t i = 0; i < gradient.size(); ++i) EXPECT_TRUE(i < gradient.size() / 2 ? gradient[i] == 0 : std::isfinite(gradient[i]));
  }
}

TEST_F(FusedAttention, BitsRepeatAndAreItsOwn) {
  // On a real GPU many blocks beside each other, as in training.
  const bool real = !test_gpu()->facts().emulated;
  const AttentionSize size = real ? AttentionSize{8, 1024, 16, 8, 128} : AttentionSize{2, 150, 4, 2, 24};
  for (const bool causal : {true, false}) {
    Case c(DType::bf16, size, causal);
    if (!causal) c.keys.assign(static_cast<std::size_t>(size.B), static_cast<std::int32_t>(size.S - 13));
    const Bytes first = c.results();
    for (int i = 0; i < (real ? 50 : 3); ++i) ASSERT_TRUE(c.results() == first) << "repetition " << i << (causal ? " causal" : "");
    c.own = true;
    EXPECT_TRUE(c.results() != first) << "these are our own kernels' bits";
  }
}

TEST_F(FusedAttention, WhatItDoesNotTakeStaysWithOurOwnKernels) {
  const auto expect_own = [](Case c, const char* what) {
    const Bytes asked = c.results();
    c.own = true;
    EXPECT_TRUE(c.results() == asked) << what;
  };
  expect_own(Case(DType::f32, {1, 20, 2, 1, 16}, true), "f32");
  expect_own(Case(DType::bf16, {1, 20, 2, 1, 12}, true), "a head of 12");
  expect_own(Case(DType::bf16, {1, 20, 2, 1, 136}, true), "a head of 136");
  expect_own(Case(DType::bf16, {3, 1, 2, 1, 16}, true), "one token");
  expect_own(Case(DType::bf16, {1, 20, 2, 1, 16}, true, 3), "rows at addresses that are no multiples of 16");
  Case documents(DType::bf16, {1, 20, 2, 1, 16}, true), drops(DType::bf16, {1, 20, 2, 2, 16}, false);
  documents.keys.assign(20, 0), drops.p = 0.1;
  expect_own(documents, "documents"), expect_own(drops, "dropout");
}

TEST_F(FusedAttention, AGraphGivesTheBitsOfOpByOp) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  Case c(DType::bf16, {2, 70, 2, 1, 16}, false);
  c.keys = {70, 33};
  const ConstView lengths = c.given();
  const auto passes = [&] {
    bidirectional_attention_forward(stream, c.q(), c.k(), c.v(), lengths, {}, c.scale, c.o, c.lse);
    bidirectional_attention_backward(stream, c.dout, c.q(), c.k(), c.v(), c.o, c.lse, lengths, {}, c.scale, c.dq(), c.dk(), c.dv());
  };
  c.choose(stream);
  c.dout.view(), c.o.view(), c.lse.view(), c.dfused.view();
  passes();
  const Bytes expected{c.o.bytes(), c.lse.bytes(), c.dfused.bytes()};
  c.o.set(Doubles(static_cast<std::size_t>(c.o.view().elements()), NAN));
  c.dfused.set(Doubles(static_cast<std::size_t>(c.fused_shape().elements()), NAN));

  GpuCapture capture(*test_gpu());
  passes();
  const auto graph = capture.take();
  graph->launch(), graph->launch();
  stream.wait();

  EXPECT_EQ((Bytes{c.o.bytes(), c.lse.bytes(), c.dfused.bytes()}), expected);
}

TEST_F(FusedAttention, APlanThatWantsMoreThanIsForeseenIsRefused) {
  if (!test_gpu()->facts().emulated) GTEST_SKIP() << "a real cuDNN's workspace is not set";
  setenv("STRATA_EMULATION_CUDNN_WORKSPACE", "100000000", 1);
  Case c(DType::bf16, {1, 37, 2, 1, 16}, true);
  try {
    c.results();
    ADD_FAILURE() << "it was taken";
  } catch (const DeckError& error) {
    const std::string what = error.what();
    for (const char* words :
         {"device.attention = cudnn: cuDNN 9.28.0 has no plan that repeats its bits for causal attention of bf16 1 x 37",
          "No execution plans support the graph", "; use device.attention = own"})
      EXPECT_NE(what.find(words), std::string::npos) << what;
  }
  const AttentionRun run{DType::bf16, 1, 38, 2, 1, 16, true, true};
  EXPECT_NE(cudnn_attention_refusal(test_gpu(), &run), "");
  unsetenv("STRATA_EMULATION_CUDNN_WORKSPACE");
  EXPECT_EQ(cudnn_attention_refusal(test_gpu(), &run), "");
}

// The same on a login node: what cuDNN 9.28 was seen to want on sm_90 (doc/cuda.md), and room beside it.
TEST(FusedAttentionPlan, ForeseesTheWorkspaceWithoutCudnn) {
  const View q(nullptr, DType::bf16, Shape{16, 512, 16, 128}), k(nullptr, DType::bf16, Shape{16, 512, 8, 128}),
      lse(nullptr, DType::f32, Shape{16, 16, 512});
  const auto foreseen = [&](AttentionKernels kernels, ConstView first_key) {
    Stream stream = Stream::plan(DeviceKind::cuda);
    stream.use_attention(kernels);
    attention_forward(stream, q, k, k, first_key, 1.0, q, lse);
    EXPECT_EQ(stream.largest_workspace() > 0, kernels == AttentionKernels::cudnn && !first_key.given());
    attention_backward(stream, q, q, k, k, q, lse, first_key, 1.0, q, k, k);
    return stream.largest_workspace();
  };
  const std::int64_t own = foreseen(AttentionKernels::own, {}), fused = foreseen(AttentionKernels::cudnn, {}), wanted = 201850880;
  EXPECT_GE(fused, wanted);
  EXPECT_LT(fused, wanted + (128 << 10));
  EXPECT_EQ(own, 16 * 8 * 16 + 4 * 16 * 16 * 512);
  EXPECT_EQ(foreseen(AttentionKernels::cudnn, View(nullptr, DType::i32, Shape{16, 512})), own) << "documents are our own kernels'";
}

}  // namespace
}  // namespace strata::test
