// Bidirectional attention: values and gradients against the plain formulas and central differences, padding, dropout, bits.
#include "ops/attention_tensors.hpp"

#include <algorithm>

#include "strata/ops/attention.hpp"

namespace strata::test {
namespace {

using Index = std::int64_t;

/// The factor that the op draws: that of row i of head h, by its definition in dropout.hpp.
double drawn_factor(const Dropout& what, std::int32_t sample, Index h, Index i, Index j) {
  const auto threshold = static_cast<std::uint32_t>(std::lround(what.p * 65536));
  const Index in_group = j % 128, half = in_group / 16, counter = j / 128 * 16 + in_group % 16;
  const auto bits = random_bits(
      what.seed, RandomPurpose::dropout, static_cast<std::uint64_t>(what.step) << 32 | static_cast<std::uint32_t>(sample),
      static_cast<std::uint64_t>(what.site * 4096 + static_cast<std::uint32_t>(h)) << 32 | static_cast<std::uint64_t>(i << 16 | counter));
  const std::uint32_t word = bits[static_cast<std::size_t>(half / 2)], piece = half % 2 ? word >> 16 : word & 0xffff;
  return piece < threshold ? 0 : 65536.0 / (65536.0 - threshold);
}

struct Case : AttentionTensors {
  std::vector<std::int32_t> length, sample;                            // [B]; length empty: not given
  mutable TestIds length_ids{{}, Shape{0}}, sample_ids{{}, Shape{0}};  // the same in the device's memory
  Dropout what;

  Case(DType element, AttentionSize s, double p = 0) : AttentionTensors(element, s) {
    for (Index b = 0; b < s.B; ++b) sample.push_back(static_cast<std::int32_t>(40 + 3 * b));
    sample_ids = TestIds(sample);
    what = {p, 21, 8, 2, sample_ids};
  }
  ConstView lengths() const {
    if (length.empty()) return {};
    length_ids = TestIds(length);
    return length_ids;
  }

  void forward(Stream& stream) { bidirectional_attention_forward(stream, q(), k(), v(), lengths(), what, scale, o, lse); }
  void backward(Stream& stream) {
    bidirectional_attention_backward(stream, dout, q(), k(), v(), o, lse, lengths(), what, scale, dq(), dk(), dv());
  }
  PlainAttention plain() const {
    PlainAttention p = unmasked();
    p.causal = false, p.lengths = length;
    if (what.drops())
      p.factor_of = [this](Index b, Index h, Index i, Index j) { return drawn_factor(what, sample[static_cast<std::size_t>(b)], h, i, j); };
    return p;
  }
};

void expect_plain_result(Case& c) {
  test::expect_plain_result(c, text(name_of_case(c), " p ", c.what.p));
}

TEST(BidirectionalAttention, GradientsEqualCentralDifferences) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const double p : {0.0, 0.3}) {
    // Threads one by one make the emulated GPU slow.
    Case c(DType::f64, test_gpu() ? AttentionSize{2, 3, 2, 1, 2} : AttentionSize{2, 5, 4, 2, 3}, p);
    c.length = {static_cast<std::int32_t>(c.size.S), 2};
    c.forward(stream), c.backward(stream);
    const Doubles gradient = c.dfused.values();

    expect_gradient("q, k, v", c.fused, gradient, [&] {
      c.forward(stream);
      return dot(c.o.values(), c.dout.values());
    });
  }
}

TEST(BidirectionalAttention, ResultsEqualThePlainFormulas) {
  const AttentionSize sizes[] = {{1, 1, 1, 1, 1},    {2, 3, 2, 1, 16},   {1, 17, 3, 3, 5},
                                 {1, 129, 4, 1, 17}, {1, 300, 2, 2, 64}, {9, 130, 2, 2, 8}};
  for (const DType type : all_types)
    for (const double p : {0.0, 0.1})
      for (const AttentionSize& size : sizes) {
        Case c(type, size, p);
        expect_plain_result(c);
      }
}

TEST(BidirectionalAttention, ManyOrLargeHeadsEqualThePlainFormulas) {
  for (const AttentionSize& size :
       {AttentionSize{17, 130, 4, 4, 8}, AttentionSize{1, 70, 2, 1, 128}}) {  // a GPU's larger blocks, its larger tiles
    Case c(DType::bf16, size, 0.1);
    c.length.assign(static_cast<std::size_t>(size.B), 69);
    c.length[0] = static_cast<std::int32_t>(size.S);
    expect_plain_result(c);
  }
}

TEST(BidirectionalAttention, PaddedKeysAreNotSeen) {
  for (const DType type : all_types)
    for (const double p : {0.0, 0.2}) {
      Case c(type, {4, 300, 2, 1, 16}, p);  // whole blocks of padding, a cut block, few keys
      c.length = {300, 97, 256, 5};
      expect_plain_result(c);
    }
}

TEST(BidirectionalAttention, MorePaddingChangesNoBit) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr Index S = 140, more = 400;
  for (const DType type : all_types) {
    Case narrow(type, {1, S, 2, 2, 16}, 0.1), wide(type, {1, more, 2, 2, 16}, 0.1);
    narrow.length = wide.length = {100};
    Doubles values = wide.fused.values(), douts(static_cast<std::size_t>(more * 32), 0.0);
    const Doubles kept = narrow.fused.values(), dout = narrow.dout.values();
    std::copy(kept.begin(), kept.end(), values.begin()), std::copy(dout.begin(), dout.end(), douts.begin());
    wide.fused.set(values), wide.dout.set(douts);

    narrow.forward(stream), narrow.backward(stream);
    wide.forward(stream), wide.backward(stream);

    const Doubles o = wide.o.values();
    EXPECT_EQ(Doubles(o.begin(), o.begin() + S * 32), narrow.o.values()) << name_of(type);
    // Rows without a gradient of their own add nothing to the keys they see.
    const Doubles wide_gradient = doubles_of(wide.dfused.view().reshaped(Shape{more, 96}).rows(0, S));
    EXPECT_EQ(wide_gradient, doubles_of(narrow.dfused.view().reshaped(Shape{S, 96}))) << name_of(type);
  }
}

TEST(BidirectionalAttention, ASequenceWithoutKeysGivesZeros) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types) {
    Case c(type, {2, 140, 1, 1, 4}, 0.1);
    c.length = {0, 140};
    c.dfused.set(Doubles(static_cast<std::size_t>(c.fused_shape().elements()), NAN));
    c.forward(stream), c.backward(stream);
    const Doubles o = c.o.values(), gradient = c.dfused.values();
    for (std::size_t i = 0; i < o.size() / 2; ++i) EXPECT_EQ(o[i], 0);
    for (std::size_t i = 0; i < gradient.size(); ++i) EXPECT_TRUE(i < gradient.size() / 2 ? gradient[i] == 0 : std::isfinite(gradient[i]));
  }
}

TEST(BidirectionalAttention, BitsDoNotDependOnThreads) {
  for (const DType type : all_types)
    for (const Index B : {1, 12})  // pairs as tasks, heads as tasks
      expect_same_bits_on_any_threads(name_of(type), [&](Stream& stream) {
        if (test_gpu() && B > 1) return Bytes{};                                  // the host's tasks
        Case c(type, {B, test_gpu() ? 210 : B == 1 ? 517 : 260, 2, 2, 24}, 0.1);  // the emulated GPU is slow
        c.length.assign(static_cast<std::size_t>(B), 200);
        c.forward(stream), c.backward(stream);
        return Bytes{c.o.bytes(), c.lse.bytes(), c.dfused.bytes()};
      });
}

TEST(BidirectionalAttention, PlanRecordsCost) {
  Stream stream = Stream::plan();
  const View q(nullptr, DType::bf16, Shape{2, 10, 4, 8}), k(nullptr, DType::bf16, Shape{2, 10, 2, 8}),
      lse(nullptr, DType::f32, Shape{2, 4, 10});

  bidirectional_attention_forward(stream, q, k, k, {}, {}, 1.0, q, lse);
  bidirectional_attention_backward(stream, q, q, k, k, q, lse, {}, {}, 1.0, q, k, k);

  const double pairs = 2 * 4 * 100;
  EXPECT_EQ(stream.costs().at("bidirectional_attention_forward").flops, pairs * (4 * 8 + 4));
  EXPECT_EQ(stream.costs().at("bidirectional_attention_backward").flops, pairs * (10 * 8 + 5) + 2 * 2 * 10 * 4 * 8);
}

TEST(BidirectionalAttention, WrongShapesAreNamed) {
  Stream stream = Stream::plan();
  const View q(nullptr, DType::f32, Shape{2, 4, 3, 2}), three(nullptr, DType::i32, Shape{3});
  expect_internal_error("bidirectional_attention_forward: lengths has shape [3], expected [2]",
                        [&] { bidirectional_attention_forward(stream, q, q, q, three, {}, 1.0, q, {}); });
}

}  // namespace
}  // namespace strata::test
