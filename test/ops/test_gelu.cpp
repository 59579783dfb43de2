// GELU: values in fp64, both tails, gradients against central differences, aliasing, extremes, bits.
#include "strata/ops/gelu.hpp"

#include "ops/tolerance.hpp"
#include "strata/ops/linear.hpp"

namespace strata::test {
namespace {

constexpr Gelu kinds[] = {Gelu::erf, Gelu::tanh};

double plain(double x, Gelu kind) {
  if (kind == Gelu::erf) return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
  return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

double plain_slope(double x, Gelu kind) {
  if (kind == Gelu::erf) return 0.5 * std::erfc(-x / std::sqrt(2.0)) + x * std::exp(-0.5 * x * x) / std::sqrt(2 * M_PI);
  const double t = std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
}

TEST(Gelu, GradientsEqualCentralDifferences) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const Gelu kind : kinds) {
    TestTensor x(DType::f64, Shape{4, 7}, random_values(28, 1, 2.0)), y(DType::f64, Shape{4, 7}), dx(DType::f64, Shape{4, 7});
    const TestTensor dy(DType::f64, Shape{4, 7}, random_values(28, 2));

    gelu_backward(stream, dy, x, kind, dx);

    expect_gradient("x", x, dx.values(), [&] {
      gelu_forward(stream, x, kind, y);
      return dot(y.values(), dy.values());
    });
  }
}

TEST(Gelu, ValuesEqualPlainLoopsAndOutputsMayBeInputs) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const std::int64_t sizes[][2] = {{1, 1}, {3, 17}, {65, 3}, {129, 517}, {2, 20000}};
  for (const DType type : all_types)
    for (const Gelu kind : kinds)
      for (const auto& [R, F] : sizes) {
        const TestTensor x(type, Shape{R, F}, random_values(R * F, 1, 2.0)), dy(type, Shape{R, F}, random_values(R * F, 2));
        TestTensor y(type, Shape{R, F}), dx(type, Shape{R, F}), y_is_x = x, dx_is_x = x, dx_is_dy = dy;

        gelu_forward(stream, x, kind, y), gelu_forward(stream, y_is_x, kind, y_is_x);
        gelu_backward(stream, dy, x, kind, dx), gelu_backward(stream, dy, dx_is_x, kind, dx_is_x);
        gelu_backward(stream, dx_is_dy, x, kind, dx_is_dy);

        Doubles expected = x.values(), slope = dy.values();
        for (std::size_t i = 0; i < expected.size(); ++i)
          slope[i] *= plain_slope(expected[i], kind), expected[i] = plain(expected[i], kind);
        const std::string where = text(name_of(type), " ", R, " ", F, kind == Gelu::erf ? " erf" : " tanh");
        EXPECT_LT(relative_difference(y.values(), expected), tolerance("gelu", type)) << where;
        EXPECT_LT(relative_difference(dx.values(), slope), tolerance("gelu", type)) << where;
        EXPECT_EQ(y_is_x.bytes(), y.bytes()) << where;
        EXPECT_EQ(dx_is_x.bytes(), dx.bytes()) << where;
        EXPECT_EQ(dx_is_dy.bytes(), dx.bytes()) << where;
      }
}

TEST(Gelu, EveryValueIsCloseAlsoInTheTails) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  constexpr std::int64_t n = 4001;
  TestTensor x(DType::f32, Shape{1, n}), y(DType::f32, Shape{1, n});
  for (std::int64_t i = 0; i < n; ++i) x.set(i, 0.003 * static_cast<double>(i - n / 2));
  const Doubles from = x.values();
  for (const Gelu kind : kinds) {
    gelu_forward(stream, x, kind, y);
    const Doubles found = y.values();
    // The exponent's own rounding grows with x^2 / 2: 18 at x = 6 makes 18 units of the last place.
    for (std::size_t i = 0; i < from.size(); ++i)
      EXPECT_NEAR(found[i], plain(from[i], kind), (kind == Gelu::erf ? 24 : 60) * 0x1p-24 * std::abs(plain(from[i], kind)) + 1e-30)
          << from[i];
  }
}

// The sum for the bias before, made with dx, is that of dx as it is stored.
TEST(Gelu, TheBiasGradientIsTheSumOverRowsOfDx) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const std::int64_t sizes[][2] = {{1, 1}, {3, 17}, {65, 3}, {33, 517}, {700, 264}, {40, 3072}};
  for (const DType type : all_types)
    for (const Gelu kind : kinds)
      for (const auto& [R, F] : sizes) {
        const DType sums = sum_type(type);
        const TestTensor x(type, Shape{R, F}, random_values(R * F, 1, 2.0)), dy(type, Shape{R, F}, random_values(R * F, 2)),
            old(sums, Shape{F}, random_values(F, 3));
        TestTensor alone(type, Shape{R, F}), dx(type, Shape{R, F}), dx_is_dy = dy, dbias(sums, Shape{F}), added = old;

        gelu_backward(stream, dy, x, kind, alone);
        gelu_backward(stream, dy, x, kind, dx, dbias, Write::set);
        gelu_backward(stream, dx_is_dy, x, kind, dx_is_dy, added, Write::add);

        Doubles expected(static_cast<std::size_t>(F), 0.0), finished = old.values();
        const Doubles values = dx.values(), found = dbias.values();
        for (std::size_t i = 0; i < values.size(); ++i) expected[i % expected.size()] += values[i];
        // Two f32 values added in f64 and rounded to f32 give the f32 sum.
        for (std::size_t j = 0; j < finished.size(); ++j) finished[j] += found[j];
        TestTensor then_added(sums, Shape{F});
        then_added.set(finished);
        const std::string where = text(name_of(type), " ", R, " ", F, kind == Gelu::erf ? " erf" : " tanh");
        EXPECT_EQ(dx.bytes(), alone.bytes()) << where;
        EXPECT_EQ(dx_is_dy.bytes(), alone.bytes()) << where;
        EXPECT_LT(relative_difference(found, expected), 32 * rounding_of(sums)) << where;
        EXPECT_EQ(added.bytes(), then_added.bytes()) << where;
        if (test_gpu()) continue;
        // On the host the bits are those of the sum that linear_backward_weight forms.
        TestTensor dweight(sums, Shape{F, 1}), separate(sums, Shape{F});
        const TestTensor one(type, Shape{R, 1});
        linear_backward_weight(stream, dx, one, dweight, separate, Write::set);
        EXPECT_EQ(dbias.bytes(), separate.bytes()) << where;
      }
}

TEST(Gelu, NoRowsGiveAZeroBiasGradientOrLeaveIt) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  TestTensor none(DType::bf16, Shape{0, 5}), dbias(DType::f32, Shape{5}, random_values(5, 1));
  const Doubles before = dbias.values();

  gelu_backward(stream, none, none, Gelu::erf, none, dbias, Write::add);
  EXPECT_EQ(dbias.values(), before);
  gelu_backward(stream, none, none, Gelu::erf, none, dbias, Write::set);
  EXPECT_EQ(dbias.values(), Doubles(5, 0.0));
}

TEST(Gelu, LargeValuesAndNan) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  for (const DType type : {DType::f32, DType::f64})
    for (const Gelu kind : kinds) {
      const TestTensor x(type, Shape{1, 6}, {-1e30, -40, 0, 40, 1e30, NAN}), one(type, Shape{1, 6}, {1, 1, 1, 1, 1, 1});
      TestTensor y(type, Shape{1, 6}), dx(type, Shape{1, 6});
      gelu_forward(stream, x, kind, y);
      gelu_backward(stream, one, x, kind, dx);
      const Doubles value = y.values(), slope = dx.values();
      const Doubles expected{0, 0, 0, 40, x.values()[4]}, expected_slope{0, 0, 0.5, 1, 1};
      for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_NEAR(value[i], expected[i], 1e-9) << i;
        EXPECT_NEAR(slope[i], expected_slope[i], 1e-9) << i;
      }
      EXPECT_TRUE(std::isnan(value[5]) && std::isnan(slope[5]));
    }
}

TEST(Gelu, BitsDoNotDependOnThreads) {
  for (const DType type : all_types)
    for (const Gelu kind : kinds)
      expect_same_bits_on_any_threads(name_of(type), [&](Stream& stream) {
        const TestTensor x(type, Shape{130, 517}, random_values(130 * 517, 1)), dy(type, Shape{130, 517}, random_values(130 * 517, 2));
        TestTensor y(type, Shape{130, 517}), dx(type, Shape{130, 517}), dbias(sum_type(type), Shape{517});
        gelu_forward(stream, x, kind, y), gelu_backward(stream, dy, x, kind, dx, dbias);
        return Bytes{y.bytes(), dx.bytes(), dbias.bytes()};
      });
}

TEST(Gelu, PlanRecordsCostAndWrongShapesAreNamed) {
  Stream stream = Stream::plan();
  const View x(nullptr, DType::bf16, Shape{3, 5}), y(nullptr, DType::bf16, Shape{3, 4});
  gelu_forward(stream, x, Gelu::erf, x);
  EXPECT_EQ(stream.costs().at("gelu_forward").flops, 25.0 * 15);
  EXPECT_EQ(stream.costs().at("gelu_forward").bytes, 60);
  const View three(nullptr, DType::f32, Shape{3}), five(nullptr, DType::f32, Shape{5});
  gelu_backward(stream, x, x, Gelu::tanh, x, five, Write::add);
  EXPECT_EQ(stream.costs().at("gelu_backward").flops, 18.0 * 15);
  EXPECT_EQ(stream.costs().at("gelu_backward").bytes, 3 * 30 + 2 * 20);
  expect_internal_error("gelu_forward: y has shape [3, 4], expected [3, 5]", [&] { gelu_forward(stream, x, Gelu::erf, y); });
  expect_internal_error("gelu_backward: dbias has shape [3], expected [5]", [&] { gelu_backward(stream, x, x, Gelu::erf, x, three); });
}

}  // namespace
}  // namespace strata::test
