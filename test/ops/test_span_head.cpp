// The question-answering head: values in fp64, gradients against central differences, ignored positions, bits.
#include "strata/ops/span_head.hpp"

#include "ops/tolerance.hpp"

namespace strata::test {
namespace {

struct Case {
  std::int64_t B, S, H;
  TestTensor x, weight, bias, logits, row_loss, dlogits, dx, dweight, dbias;
  std::vector<std::int32_t> label;
  TestIds label_ids;  // the same in the device's memory

  Case(DType type, std::int64_t sequences, std::int64_t length, std::int64_t width, std::vector<std::int32_t> labels)
      : B(sequences),
        S(length),
        H(width),
        x(type, Shape{B * S, H}, random_values(B * S * H, 1)),
        weight(type, Shape{2, H}, random_values(2 * H, 2)),
        bias(type, Shape{2}, random_values(2, 3)),
        logits(sum_type(type), Shape{B, 2, S}),
        row_loss(DType::f64, Shape{B, 2}),
        dlogits(sum_type(type), Shape{B, 2, S}),
        dx(type, Shape{B * S, H}),
        dweight(sum_type(type), Shape{2, H}),
        dbias(sum_type(type), Shape{2}),
        label(std::move(labels)),
        label_ids(label, Shape{B, 2}) {}
  ConstView labels() const { return label_ids; }
  void run(Stream& stream, double scale) {
    span_logits_forward(stream, x, weight, bias, logits);
    span_cross_entropy_backward(stream, logits, labels(), scale, row_loss, dlogits);
    span_logits_backward(stream, dlogits, x, weight, dx, dweight, dbias);
  }
  /// Hugging Face's loss: the mean of the two ends' means over what counts, in plain loops.
  double loss_of_logits() const {
    const Doubles z = logits.values();
    double loss = 0;
    for (std::int64_t c = 0; c < 2; ++c) {
      double sum = 0, counted = 0;
      for (std::int64_t b = 0; b < B; ++b) {
        const std::int64_t at = label[static_cast<std::size_t>(2 * b + c)];
        if (at < 0 || at >= S) continue;
        const double* row = z.data() + (2 * b + c) * S;
        double mass = 0;
        for (std::int64_t s = 0; s < S; ++s) mass += std::exp(row[s]);
        sum += std::log(mass) - row[at], counted += 1;
      }
      if (counted > 0) loss += 0.5 * sum / counted;
    }
    return loss;
  }
};

double sum_of(const Doubles& values) {
  double sum = 0;
  for (const double v : values) sum += v;
  return sum;
}

TEST(SpanHead, GradientsEqualCentralDifferencesOfHuggingFacesLoss) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  // All counted; a start ignored; a whole row ignored.
  const std::pair<std::vector<std::int32_t>, double> cases[] = {
      {{0, 4, 2, 2, 1, 3}, 6}, {{12, 4, 2, 2, 1, 3}, 5}, {{5, -1, 2, 2, 1, 3}, 4}};
  for (const auto& [labels, counted] : cases) {
    Case c(DType::f64, 3, 5, 7, labels);
    c.run(stream, 1 / counted);
    const auto loss = [&] {
      span_logits_forward(stream, c.x, c.weight, c.bias, c.logits);
      return c.loss_of_logits();
    };

    EXPECT_NEAR(sum_of(c.row_loss.values()) / counted, loss(), 1e-14);
    expect_gradient("x", c.x, c.dx.values(), loss);
    expect_gradient("weight", c.weight, c.dweight.values(), loss);
    expect_gradient("bias", c.bias, c.dbias.values(), loss);
  }
}

TEST(SpanHead, EveryTypeIsCloseToFp64) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const std::int64_t sizes[][3] = {{1, 1, 1}, {2, 3, 17}, {3, 65, 129}, {1, 517, 33}};
  for (const DType type : all_types)
    for (const auto& [B, S, H] : sizes) {
      if (type == DType::f64) continue;
      std::vector<std::int32_t> labels = random_ids(2 * B, S, 5);
      Case c(type, B, S, H, labels), truth(DType::f64, B, S, H, labels);
      truth.x.set(c.x.values()), truth.weight.set(c.weight.values()), truth.bias.set(c.bias.values());

      c.run(stream, 0.25), truth.run(stream, 0.25);

      const std::string where = text(name_of(type), " ", B, " ", S, " ", H);
      EXPECT_LT(relative_difference(c.logits.values(), truth.logits.values()), 16 * rounding_of(DType::f32)) << where;
      if (S == 1) continue;  // a softmax of one is 1, and everything else rounding
      EXPECT_LT(relative_difference(c.row_loss.values(), truth.row_loss.values()), 16 * rounding_of(DType::f32)) << where;
      EXPECT_LT(relative_difference(c.dx.values(), truth.dx.values()), (size_of(type) == 2 ? 1 : 64) * rounding_of(type)) << where;
      EXPECT_LT(relative_difference(c.dweight.values(), truth.dweight.values()), 64 * rounding_of(DType::f32)) << where;
    }
}

TEST(SpanHead, ForwardAloneAndInPlaceGiveTheSameBits) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types) {
    Case c(type, 3, 70, 33, {1, 2, 70, 69, 0, 0});
    c.run(stream, 0.5);
    TestTensor alone(DType::f64, Shape{3, 2}), in_place = c.logits, dx = c.x, loss = c.row_loss;
    span_cross_entropy_forward(stream, c.logits, c.labels(), alone);
    EXPECT_EQ(alone.bytes(), c.row_loss.bytes());
    span_cross_entropy_backward(stream, in_place, c.labels(), 0.5, loss, in_place);
    EXPECT_EQ(in_place.bytes(), c.dlogits.bytes());
    span_logits_backward(stream, in_place, dx, c.weight, dx, c.dweight, c.dbias);
    EXPECT_EQ(dx.bytes(), c.dx.bytes());
    EXPECT_EQ(c.row_loss.values()[2], 0);
  }
}

TEST(SpanHead, BitsDoNotDependOnThreads) {
  for (const DType type : all_types)
    expect_same_bits_on_any_threads(name_of(type), [&](Stream& stream) {
      Case c(type, 5, 130, 300, {1, 2, 3, 129, 0, 0, 500, 7, 100, 100});
      c.run(stream, 0.1);
      return Bytes{c.logits.bytes(), c.row_loss.bytes(), c.dx.bytes(), c.dweight.bytes(), c.dbias.bytes()};
    });
}

TEST(SpanHead, PlanRecordsCostAndWrongShapesAreNamed) {
  Stream stream = Stream::plan();
  const View x(nullptr, DType::bf16, Shape{12, 8}), weight(nullptr, DType::bf16, Shape{2, 8}), bias(nullptr, DType::bf16, Shape{2});
  const View logits(nullptr, DType::f32, Shape{3, 2, 4}), wrong(nullptr, DType::f32, Shape{3, 2, 5});
  span_logits_forward(stream, x, weight, bias, logits);
  EXPECT_EQ(stream.costs().at("span_logits_forward").flops, 4.0 * 96 + 24);
  expect_internal_error("span_logits_forward: logits [3, 2, 5] for 12 tokens",
                        [&] { span_logits_forward(stream, x, weight, bias, wrong); });
}

}  // namespace
}  // namespace strata::test
