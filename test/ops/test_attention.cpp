// Attention: values and gradients against the plain formulas and central differences, masks, slices of a fused product, decoding, bits.
#include "strata/ops/attention.hpp"

#include "ops/attention_tensors.hpp"

namespace strata::test {
namespace {

using Index = std::int64_t;

struct Case : AttentionTensors {
  using AttentionTensors::AttentionTensors;
  std::vector<std::int32_t> first;          // first_key [B,S]; empty: not given
  mutable TestIds first_ids{{}, Shape{0}};  // the same in the device's memory

  ConstView first_key() const {
    if (first.empty()) return {};
    first_ids = TestIds(first, Shape{size.B, size.S});
    return first_ids;
  }

  void forward(Stream& stream) { attention_forward(stream, q(), k(), v(), first_key(), scale, o, lse); }
  void backward(Stream& stream) { attention_backward(stream, dout, q(), k(), v(), o, lse, first_key(), scale, dq(), dk(), dv()); }
  PlainAttention plain() const {
    PlainAttention p = unmasked();
    p.first = first;
    return p;
  }
};

/// Documents of uneven lengths: first_key is the start of the position's document.
std::vector<std::int32_t> document_starts(Index B, Index S, std::initializer_list<Index> starts) {
  std::vector<std::int32_t> first(static_cast<std::size_t>(B * S), 0);
  for (Index b = 0; b < B; ++b)
    for (Index i = 0; i < S; ++i)
      for (const Index start : starts)
        if (start + b <= i) first[static_cast<std::size_t>(b * S + i)] = static_cast<std::int32_t>(start + b);
  return first;
}

TEST(Attention, GradientsEqualCentralDifferences) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  // Threads one by one make the emulated GPU slow.
  Case c(DType::f64, test_gpu() ? AttentionSize{1, 4, 2, 1, 3} : AttentionSize{2, 5, 4, 2, 3});
  c.first = document_starts(c.size.B, c.size.S, {0, 2});
  c.forward(stream);
  c.backward(stream);
  const Doubles gradient = c.dfused.values();

  expect_gradient("q, k, v", c.fused, gradient, [&] {
    c.forward(stream);
    return dot(c.o.values(), c.dout.values());
  });
}

TEST(Attention, ResultsEqualThePlainFormulas) {
  const AttentionSize sizes[] = {{1, 1, 1, 1, 1},    {2, 3, 2, 1, 16},    {1, 17, 3, 3, 5},  {2, 65, 4, 2, 32},
                                 {1, 129, 4, 1, 17}, {1, 300, 2, 1, 128}, {1, 517, 2, 2, 8}, {1, 70, 2, 1, 144}};
  for (const DType type : all_types)
    for (const AttentionSize& size : sizes) {
      Case c(type, size);
      expect_plain_result(c, name_of_case(c));
    }
}

TEST(Attention, ManyHeadsEqualThePlainFormulas) {
  Case c(DType::bf16, {17, 130, 4, 4, 8});  // enough for a GPU to take its larger blocks
  expect_plain_result(c, name_of_case(c));
}

TEST(Attention, MasksOfDocumentsEqualThePlainFormulas) {
  for (const DType type : all_types) {
    Case c(type, {2, 517, 2, 1, 16});
    c.first = document_starts(2, 517, {0, 1, 100, 128, 300, 301, 511});
    expect_plain_result(c, name_of_case(c));
  }
}

TEST(Attention, LargeScoresStayFinite) {
  for (const DType type : {DType::f32, DType::f64}) {
    Case c(type, {1, 300, 1, 1, 8}, 30.0);  // scores to some thousands: exp() of them overflows without the shift by the largest
    ThreadPool pool(2);
    Stream stream = test_stream(pool);
    c.forward(stream);
    c.backward(stream);
    for (const double value : c.o.values()) EXPECT_LE(std::abs(value), 30.0 * 5);
    for (const double value : c.dfused.values()) EXPECT_TRUE(std::isfinite(value));
  }
}

TEST(Attention, AMaskedDocumentHasTheResultsOfTheDocumentAlone) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr Index S = 400, start = 256;
  for (const DType type : all_types) {
    Case whole(type, {1, S, 2, 1, 16}), tail(type, {1, S - start, 2, 1, 16});
    whole.first = document_starts(1, S, {0, start});
    const Doubles values = doubles_of(whole.fused.view().columns(0, 64)), douts = whole.dout.values();
    tail.fused.set(Doubles(values.end() - (S - start) * 64, values.end()));
    tail.dout.set(Doubles(douts.end() - (S - start) * 32, douts.end()));

    whole.forward(stream), whole.backward(stream);
    tail.forward(stream), tail.backward(stream);

    const Doubles o = whole.o.values(), gradient = whole.dfused.values();
    EXPECT_EQ(Doubles(o.end() - (S - start) * 32, o.end()), tail.o.values());
    EXPECT_EQ(Doubles(gradient.end() - (S - start) * 64, gradient.end()), tail.dfused.values());
  }
}

TEST(Attention, ARowThatSeesNoKeyGivesZeros) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types) {
    Case c(type, {1, 6, 1, 1, 4});
    c.first = {0, 0, 4, 0, 0, 9};  // rows 2 and 5
    c.forward(stream);
    c.backward(stream);
    const Doubles o = c.o.values(), lse = c.lse.values(), dq = doubles_of(c.dq());
    for (const std::size_t row : {2U, 5U}) {
      EXPECT_EQ(lse[row], -INFINITY);
      for (std::size_t d = 0; d < 4; ++d) EXPECT_TRUE(o[row * 4 + d] == 0 && dq[row * 4 + d] == 0) << row;
    }
    for (const double value : c.dfused.values()) EXPECT_TRUE(std::isfinite(value));
  }
}

TEST(Attention, NotANumberReachesTheRowsThatSeeIt) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  Case c(DType::f32, {1, 8, 1, 1, 4});
  c.fused.set(3 * 12 + 4, NAN);  // k of position 3
  c.forward(stream);
  const Doubles o = c.o.values();
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(std::isnan(o[i * 4]), i >= 3) << i;
}

TEST(Attention, BitsDoNotDependOnThreads) {
  for (const DType type : all_types)
    for (const bool masked : {false, true})
      expect_same_bits_on_any_threads(name_of(type), [&](Stream& stream) {
        Case c(type, {2, test_gpu() ? 150 : 517, 4, 2, 24});  // the emulated GPU is slow
        if (masked) c.first = document_starts(2, c.size.S, {0, 70, 200, 390});
        c.forward(stream);
        c.backward(stream);
        return Bytes{c.o.bytes(), c.lse.bytes(), c.dfused.bytes()};
      });
}

TEST(Attention, DecodingEqualsTheLastRowOfTheForwardPass) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const AttentionSize sizes[] = {{1, 1, 1, 1, 1}, {2, 17, 4, 2, 3}, {3, 129, 3, 3, 64}, {2, 517, 8, 2, 17}, {1, 1100, 2, 1, 128}};
  for (const DType type : all_types)
    for (const AttentionSize& s : sizes) {
      Case c(type, s);
      PlainAttention plain = c.plain();
      plain.forward();
      // Each sequence has another length; the query is that of its last position.
      std::vector<std::int32_t> lengths;
      for (Index b = 0; b < s.B; ++b) lengths.push_back(static_cast<std::int32_t>(std::max<Index>(1, s.S - 5 * b)));
      TestTensor q(type, Shape{s.B, s.nh, s.hd}, 4), o(type, Shape{s.B, s.nh, s.hd}, 1);
      Doubles queries, expected;
      for (Index b = 0; b < s.B; ++b) {
        const auto at = static_cast<Index>(plain.at_q(b, lengths[static_cast<std::size_t>(b)] - 1, 0)), row = s.nh * s.hd;
        queries.insert(queries.end(), plain.q.begin() + at, plain.q.begin() + at + row);
        expected.insert(expected.end(), plain.o.begin() + at, plain.o.begin() + at + row);
      }
      q.set(queries);

      attention_decode(stream, q, c.k(), c.v(), TestIds(lengths), c.scale, o);

      EXPECT_LT(relative_difference(o.values(), expected), tolerance("attention_decode", type)) << name_of_case(c);
    }
}

TEST(Attention, DecodingBitsDoNotDependOnThreads) {
  for (const DType type : all_types)
    expect_same_bits_on_any_threads(name_of(type), [&](Stream& stream) {
      const Case c(type, {3, 600, 8, 4, 34});
      const TestTensor q(type, Shape{3, 8, 34}, random_values(3 * 8 * 34, 9));
      TestTensor o(type, Shape{3, 8, 34});
      attention_decode(stream, q, c.k(), c.v(), TestIds({600, 1, 513}), c.scale, o);
      return Bytes{o.bytes()};
    });
}

TEST(Attention, PlanRecordsCostAndWorkspace) {
  Stream stream = Stream::plan();
  const View q(nullptr, DType::bf16, Shape{2, 10, 4, 8}), k(nullptr, DType::bf16, Shape{2, 10, 2, 8}),
      lse(nullptr, DType::f32, Shape{2, 4, 10});

  attention_forward(stream, q, k, k, {}, 1.0, q, lse);
  attention_backward(stream, q, q, k, k, q, lse, {}, 1.0, q, k, k);

  const double pairs = 2 * 4 * 55;
  EXPECT_EQ(stream.costs().at("attention_forward").flops, pairs * (4 * 8 + 4));
  EXPECT_EQ(stream.costs().at("attention_backward").flops, pairs * (10 * 8 + 5) + 2 * 2 * 10 * 4 * 8);
  EXPECT_EQ(stream.largest_workspace(), 4 * (2 * 4 * 10 + 640 + 2 * 320));  // D; f32 sums of dq, dk, dv
}

TEST(Attention, WrongShapesAreNamed) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  const TestTensor q(DType::f32, Shape{1, 4, 3, 2}), k(DType::f32, Shape{1, 4, 2, 2}), narrow(DType::f32, Shape{1, 4, 3, 1});
  TestTensor o(DType::f32, Shape{1, 4, 3, 2});

  expect_internal_error("attention_forward: 3 query heads do not divide into 2 groups",
                        [&] { attention_forward(stream, q, k, k, {}, 1.0, o, {}); });
  expect_internal_error("attention_forward: k has shape [1, 4, 3, 1], expected [1, 4, 3, 2]",
                        [&] { attention_forward(stream, q, narrow, q, {}, 1.0, o, {}); });
  if (test_gpu()) return;  // a GPU cannot name what it finds in its memory
  const TestTensor one(DType::f32, Shape{1, 3, 2});
  TestTensor out(DType::f32, Shape{1, 3, 2});
  expect_internal_error("sequence 0 has length 5, expected 1 to 4", [&] { attention_decode(stream, one, q, q, TestIds({5}), 1.0, out); });
}

}  // namespace
}  // namespace strata::test
