// Layer norm: values by hand and in fp64, gradients against central differences, the fused form against its parts, bits.
#include "strata/ops/layer_norm.hpp"

#include "ops/tolerance.hpp"
#include "strata/ops/linear.hpp"

namespace strata::test {
namespace {

constexpr double eps = 1e-12;

struct Expected {
  Doubles y, mean, rstd, dx, dweight, dbias;
};

/// The formulas of the header in plain loops over rows of H, sums in long double.
Expected plain(const Doubles& x, const Doubles& weight, const Doubles& bias, const Doubles& dy) {
  const std::size_t H = weight.size(), rows = x.size() / H;
  Expected e{Doubles(x.size()), Doubles(rows), Doubles(rows), Doubles(x.size()), Doubles(H, 0.0), Doubles(H, 0.0)};
  const auto n = static_cast<long double>(H);
  for (std::size_t r = 0; r < rows; ++r) {
    long double sum = 0, squares = 0, mean_g = 0, mean_gx = 0;
    for (std::size_t j = 0; j < H; ++j) sum += x[r * H + j];
    const long double mean = sum / n;
    for (std::size_t j = 0; j < H; ++j) squares += (x[r * H + j] - mean) * (x[r * H + j] - mean);
    const long double rstd = 1 / std::sqrt(squares / n + eps);
    e.mean[r] = static_cast<double>(mean), e.rstd[r] = static_cast<double>(rstd);
    for (std::size_t j = 0; j < H; ++j) {
      const long double xhat = (x[r * H + j] - mean) * rstd, g = static_cast<long double>(dy[r * H + j]) * weight[j];
      mean_g += g / n, mean_gx += g * xhat / n;
      e.y[r * H + j] = static_cast<double>(xhat * weight[j] + bias[j]);
      e.dweight[j] += static_cast<double>(dy[r * H + j] * xhat), e.dbias[j] += dy[r * H + j];
    }
    for (std::size_t j = 0; j < H; ++j) {
      const long double xhat = (x[r * H + j] - mean) * rstd, g = static_cast<long double>(dy[r * H + j]) * weight[j];
      e.dx[r * H + j] = static_cast<double>(rstd * (g - mean_g - xhat * mean_gx));
    }
  }
  return e;
}

/// One pass: inputs, and outputs of both directions.
struct Case {
  std::int64_t R, H;
  DType type;
  TestTensor x, residual, weight, bias, dy;
  TestTensor sum, y, mean, rstd, dsum, dx, dweight, dbias;
  std::vector<std::int32_t> samples;

  Case(DType element, std::int64_t rows, std::int64_t width)
      : R(rows),
        H(width),
        type(element),
        x(values(1)),
        residual(values(2)),
        weight(element, Shape{H}, random_values(H, 3)),
        bias(element, Shape{H}, random_values(H, 4)),
        dy(values(5)),
        sum(element, Shape{R, H}),
        y(element, Shape{R, H}),
        mean(sum_type(element), Shape{R}),
        rstd(sum_type(element), Shape{R}),
        dsum(element, Shape{R, H}),
        dx(element, Shape{R, H}),
        dweight(sum_type(element), Shape{H}),
        dbias(sum_type(element), Shape{H}) {}
  TestTensor values(std::uint64_t seed) const { return {type, Shape{R, H}, random_values(R * H, seed)}; }
  /// Dropout over B sequences.
  Dropout dropping(double p, std::int64_t B) {
    samples.resize(static_cast<std::size_t>(B));
    for (std::size_t b = 0; b < samples.size(); ++b) samples[b] = static_cast<std::int32_t>(100 + 7 * b);
    return {p, 11, 3, 5, ConstView(samples.data(), DType::i32, Shape{B})};
  }
  void forward(Stream& stream) { layer_norm_forward(stream, x, weight, bias, eps, y, mean, rstd); }
  void backward(Stream& stream) { layer_norm_backward(stream, dy, x, weight, mean, rstd, dx, dweight, dbias); }
  void add_forward(Stream& stream, const Dropout& what) {
    add_layer_norm_forward(stream, x, residual, what, weight, bias, eps, sum, y, mean, rstd);
  }
  void add_backward(Stream& stream, const Dropout& what) {
    add_layer_norm_backward(stream, dy, sum, what, weight, mean, rstd, dsum, what.drops() ? dx.view() : View(), dweight, dbias);
  }
};

TEST(LayerNorm, ValuesByHand) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  const TestTensor x(DType::f64, Shape{2, 2}, {3, 5, 7, 7}), weight(DType::f64, Shape{2}, {1, 2}), bias(DType::f64, Shape{2}, {10, 20});
  TestTensor y(DType::f64, Shape{2, 2}), mean(DType::f64, Shape{2}), rstd(DType::f64, Shape{2});

  layer_norm_forward(stream, x, weight, bias, 3.0, y, mean, rstd);  // variances 1 and 0

  EXPECT_EQ(mean.values(), (Doubles{4, 7}));
  EXPECT_NEAR(rstd.values()[0], 0.5, 1e-15);
  EXPECT_NEAR(rstd.values()[1], 1 / std::sqrt(3.0), 1e-15);
  EXPECT_EQ(y.values(), (Doubles{9.5, 21, 10, 20}));
}

TEST(LayerNorm, GradientsEqualCentralDifferences) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const double p : {0.0, 0.4}) {
    Case c(DType::f64, 6, 7);
    const Dropout what = c.dropping(p, 2);
    const auto loss = [&] {
      c.add_forward(stream, what);
      return dot(c.y.values(), c.dy.values());
    };

    loss();
    c.add_backward(stream, what);

    expect_gradient("residual", c.residual, c.dsum.values(), loss);
    expect_gradient("x", c.x, (p > 0 ? c.dx : c.dsum).values(), loss);
    expect_gradient("weight", c.weight, c.dweight.values(), loss);
    expect_gradient("bias", c.bias, c.dbias.values(), loss);
  }
}

TEST(LayerNorm, ValuesEqualPlainLoops) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const std::int64_t sizes[][2] = {{1, 1}, {3, 17}, {65, 3}, {129, 65}, {17, 517}, {517, 129}, {2, 1024}};
  for (const DType type : all_types)
    for (const auto& [R, H] : sizes) {
      Case c(type, R, H);

      c.forward(stream), c.backward(stream);

      const Expected expected = plain(c.x.values(), c.weight.values(), c.bias.values(), c.dy.values());
      const std::string where = text(name_of(type), " ", R, " ", H);
      EXPECT_LT(relative_difference(c.y.values(), expected.y), tolerance("layer_norm", type)) << where;
      EXPECT_LT(relative_difference(c.mean.values(), expected.mean), tolerance("layer_norm", type, true)) << where;
      EXPECT_LT(relative_difference(c.dbias.values(), expected.dbias), tolerance("layer_norm", type, true)) << where;
      if (H == 1) continue;  // variance 0: rstd is 1e6 and everything else zero up to rounding
      EXPECT_LT(relative_difference(c.rstd.values(), expected.rstd), tolerance("layer_norm", type, true)) << where;
      EXPECT_LT(relative_difference(c.dweight.values(), expected.dweight), tolerance("layer_norm", type, true)) << where;
      EXPECT_LT(relative_difference(c.dx.values(), expected.dx), tolerance("layer_norm", type)) << where;
    }
}

TEST(LayerNorm, TheFusedFormEqualsItsParts) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types)
    for (const double p : {0.0, 0.1}) {
      constexpr std::int64_t B = 3, S = 47, H = 300;
      Case c(type, B * S, H), parts(type, B * S, H);
      const Dropout what = c.dropping(p, B);

      c.add_forward(stream, what), c.add_backward(stream, what);

      // sum = residual + dropout(x) rounded once; then norm, its backward pass and dropout as ops of their own, with the same bits.
      dropout(stream, parts.x, what, parts.x);
      Doubles sum = parts.x.values();
      const Doubles residual = c.residual.values();
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += residual[i];
      EXPECT_LT(relative_difference(c.sum.values(), sum), 2 * rounding_of(type)) << name_of(type) << " " << p;
      parts.x = c.sum;
      parts.forward(stream), parts.backward(stream);
      EXPECT_EQ(c.y.bytes(), parts.y.bytes());
      EXPECT_EQ(c.dsum.bytes(), parts.dx.bytes());
      EXPECT_EQ(c.dweight.bytes(), parts.dweight.bytes());
      EXPECT_EQ(c.dbias.bytes(), parts.dbias.bytes());
      if (p == 0) continue;
      dropout(stream, parts.dx, what, parts.dx);
      EXPECT_EQ(c.dx.bytes(), parts.dx.bytes());
    }
}

// Sums of the branch's gradient, made with it, are those of what is stored; gradients that are added are the finished ones, then added.
TEST(LayerNorm, SumsOfTheBranchAndAddedGradients) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const std::int64_t sizes[][2] = {{3, 17}, {66, 3}, {141, 300}, {30, 1024}, {3, 5000}};
  for (const DType type : all_types)
    for (const double p : {0.0, 0.1})
      for (const auto& [R, H] : sizes) {
        const DType wide = sum_type(type);
        Case c(type, R, H);
        const Dropout what = c.dropping(p, 3);
        TestTensor dx_sums(wide, Shape{H});
        const TestTensor old(wide, Shape{H}, random_values(H, 9));
        TestTensor added_weight = old, added_bias = old, added_sums = old;
        const View dx = p > 0 ? c.dx.view() : View();
        c.add_forward(stream, what), c.add_backward(stream, what);
        const auto dsum = c.dsum.bytes(), dweight = c.dweight.bytes(), dbias = c.dbias.bytes();

        add_layer_norm_backward(stream, c.dy, c.sum, what, c.weight, c.mean, c.rstd, c.dsum, dx, c.dweight, c.dbias, dx_sums);
        add_layer_norm_backward(stream, c.dy, c.sum, what, c.weight, c.mean, c.rstd, c.dsum, dx, added_weight, added_bias, added_sums,
                                Write::add);

        const std::string where = text(name_of(type), " ", R, " ", H, " ", p);
        EXPECT_EQ(c.dsum.bytes(), dsum) << where;
        EXPECT_EQ(c.dweight.bytes(), dweight) << where;
        EXPECT_EQ(c.dbias.bytes(), dbias) << where;
        const TestTensor& branch = p > 0 ? c.dx : c.dsum;
        const Doubles values = branch.values(), found = dx_sums.values();
        Doubles expected(static_cast<std::size_t>(H), 0.0), sizes_of(static_cast<std::size_t>(H), 0.0);
        for (std::size_t i = 0; i < values.size(); ++i)
          expected[i % expected.size()] += values[i], sizes_of[i % expected.size()] += std::abs(values[i]);
        // Gradients of a norm cancel: the error is measured by what was added up.
        for (std::size_t j = 0; j < expected.size(); ++j)
          EXPECT_NEAR(found[j], expected[j], 32 * rounding_of(wide) * sizes_of[j]) << where << " column " << j;
        const auto then_added = [&](const TestTensor& gradient) {
          Doubles sum = old.values();
          const Doubles terms = gradient.values();
          for (std::size_t j = 0; j < sum.size(); ++j) sum[j] += terms[j];
          TestTensor to(wide, Shape{H});
          to.set(sum);
          return to.bytes();
        };
        EXPECT_EQ(added_weight.bytes(), then_added(c.dweight)) << where;
        EXPECT_EQ(added_bias.bytes(), then_added(c.dbias)) << where;
        EXPECT_EQ(added_sums.bytes(), then_added(dx_sums)) << where;
        if (test_gpu()) continue;
        // On the host the bits are those of the sum that linear_backward_weight forms.
        TestTensor weight(wide, Shape{H, 1}), separate(wide, Shape{H});
        const TestTensor one(type, Shape{R, 1});
        linear_backward_weight(stream, branch, one, weight, separate, Write::set);
        EXPECT_EQ(dx_sums.bytes(), separate.bytes()) << where;
      }
}

TEST(LayerNorm, OutputsMayBeInputs) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types) {
    Case c(type, 70, 45);
    const Dropout what = c.dropping(0.3, 7);
    TestTensor sum_is_x = c.x, dsum_is_dy = c.dy, y_is_x = c.x;

    c.add_forward(stream, what), c.add_backward(stream, what);
    const auto y = c.y.bytes(), dsum = c.dsum.bytes();
    add_layer_norm_forward(stream, sum_is_x, c.residual, what, c.weight, c.bias, eps, sum_is_x, c.y, {}, {});
    add_layer_norm_backward(stream, dsum_is_dy, sum_is_x, what, c.weight, c.mean, c.rstd, dsum_is_dy, c.dx, c.dweight, c.dbias);
    EXPECT_EQ(c.y.bytes(), y);
    EXPECT_EQ(sum_is_x.bytes(), c.sum.bytes());
    EXPECT_EQ(dsum_is_dy.bytes(), dsum);

    c.forward(stream);
    layer_norm_forward(stream, y_is_x, c.weight, c.bias, eps, y_is_x, {}, {});
    EXPECT_EQ(y_is_x.bytes(), c.y.bytes());
  }
}

TEST(LayerNorm, BitsDoNotDependOnThreads) {
  for (const DType type : all_types)
    expect_same_bits_on_any_threads(name_of(type), [&](Stream& stream) {
      Case c(type, 1030, 300);
      const Dropout what = c.dropping(0.1, 10);
      c.add_forward(stream, what), c.add_backward(stream, what);
      return Bytes{c.sum.bytes(),  c.y.bytes(),  c.mean.bytes(),    c.rstd.bytes(),
                   c.dsum.bytes(), c.dx.bytes(), c.dweight.bytes(), c.dbias.bytes()};
    });
}

TEST(LayerNorm, PlanRecordsCostAndWorkspace) {
  Stream stream = Stream::plan();
  const View x(nullptr, DType::bf16, Shape{130, 64}), weight(nullptr, DType::bf16, Shape{64}), row(nullptr, DType::f32, Shape{130}),
      dweight(nullptr, DType::f32, Shape{64});

  layer_norm_backward(stream, x, x, weight, row, row, x, dweight, dweight);

  EXPECT_EQ(stream.largest_workspace(), 3 * 2 * 64 * 4);  // three blocks of rows
  EXPECT_EQ(stream.costs().at("layer_norm_backward").flops, 13.0 * 130 * 64);
}

TEST(LayerNorm, WrongShapesAreNamed) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  const TestTensor x(DType::f32, Shape{2, 4}), three(DType::f32, Shape{3}), four(DType::f32, Shape{4});
  TestTensor y(DType::f32, Shape{2, 4}), rows(DType::f32, Shape{2}), gradient(DType::f32, Shape{4});

  expect_internal_error("layer_norm_forward: bias has shape [3], expected [4]",
                        [&] { layer_norm_forward(stream, x, four, three, eps, y, {}, {}); });
  expect_internal_error("add_layer_norm_backward: dx is given with a dropout of 0",
                        [&] { add_layer_norm_backward(stream, x, x, {}, four, rows, rows, y, y, gradient, gradient); });
  Dropout all;
  all.p = 1;
  expect_internal_error("add_layer_norm_forward: dropout probability 1, expected 0 <= p < 1",
                        [&] { add_layer_norm_forward(stream, x, x, all, four, four, eps, y, y, {}, {}); });
}

}  // namespace
}  // namespace strata::test
