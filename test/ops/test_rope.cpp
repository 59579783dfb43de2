// Rotary embedding: tables against the formula (with Llama 3's scaling), rotation against complex numbers, gradient, slices, bits.
#include "strata/ops/rope.hpp"

#include <complex>
#include <numbers>

#include "ops/tolerance.hpp"

namespace strata::test {
namespace {

struct Tables {
  TestTensor cos, sin;
};
Tables tables(DType type, std::int64_t positions, std::int64_t hd, double theta = 10000.0) {
  Tables t{TestTensor(type, Shape{positions, hd / 2}), TestTensor(type, Shape{positions, hd / 2})};
  RopeConfig config;
  config.theta = theta, config.head_size = hd;
  rope_tables(config, t.cos, t.sin);
  return t;
}

TEST(Rope, TablesEqualTheFormula) {
  constexpr std::int64_t P = 70, hd = 16;
  const Tables wide = tables(DType::f64, P, hd, 1e6), narrow = tables(DType::f32, P, hd, 1e6);
  for (std::int64_t p = 0; p < P; ++p)
    for (std::int64_t i = 0; i < hd / 2; ++i) {
      const auto at = static_cast<std::size_t>(p * hd / 2 + i);
      const double frequency = std::pow(1e6, -2.0 * static_cast<double>(i) / hd);
      EXPECT_NEAR(wide.cos.values()[at], std::cos(static_cast<double>(p) * frequency), 1e-13);
      EXPECT_NEAR(wide.sin.values()[at], std::sin(static_cast<double>(p) * frequency), 1e-13);
      EXPECT_EQ(narrow.cos.values()[at],
                static_cast<float>(std::cos(static_cast<double>(p) * static_cast<double>(static_cast<float>(frequency)))));
    }
}

TEST(Rope, Llama3ScalingStretchesLongWavelengthsOnly) {
  RopeConfig config;
  config.theta = 500000.0, config.head_size = 64, config.llama3 = true;
  config.factor = 8.0, config.low_freq_factor = 1.0, config.high_freq_factor = 4.0, config.original_positions = 8192;
  TestTensor cos(DType::f64, Shape{2, 32}), sin(DType::f64, Shape{2, 32});

  rope_tables(config, cos, sin);

  for (std::size_t i = 0; i < 32; ++i) {
    const double frequency = std::pow(500000.0, -static_cast<double>(i) / 32), wavelength = 2 * std::numbers::pi / frequency;
    double expected = frequency;
    if (wavelength > 8192.0 / 1.0)
      expected = frequency / 8;
    else if (wavelength > 8192.0 / 4.0) {
      const double smooth = (8192.0 / wavelength - 1.0) / (4.0 - 1.0);
      expected = (1 - smooth) * frequency / 8 + smooth * frequency;
    }
    EXPECT_NEAR(sin.values()[32 + i], std::sin(expected), 1e-14) << i;
    EXPECT_NEAR(cos.values()[32 + i], std::cos(expected), 1e-14) << i;
  }
}

TEST(Rope, RotatesPairsAsComplexNumbers) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const std::int64_t sizes[][3] = {{1, 1, 2}, {3, 17, 6}, {65, 2, 34}, {517, 3, 128}};
  for (const DType type : all_types)
    for (const auto& [R, n, hd] : sizes) {
      const Tables t = tables(sum_type(type), 129, hd);
      const TestIds positions(random_ids(R, 129, 7));
      const TestTensor x(type, Shape{R, n, hd}, random_values(R * n * hd, 1), 2);
      TestTensor y(type, Shape{R, n, hd}, 1), in_place = x, back(type, Shape{R, n, hd});

      rope_forward(stream, x, t.cos, t.sin, positions, y);
      rope_forward(stream, in_place, t.cos, t.sin, positions, in_place);
      rope_backward(stream, y, t.cos, t.sin, positions, back);

      const Doubles from = x.values(), cos = t.cos.values(), sin = t.sin.values();
      Doubles expected(from.size());
      const std::int64_t half = hd / 2;
      for (std::int64_t r = 0; r < R; ++r)
        for (std::int64_t h = 0; h < n; ++h)
          for (std::int64_t i = 0; i < half; ++i) {
            const auto a = static_cast<std::size_t>((r * n + h) * hd + i), b = a + static_cast<std::size_t>(half),
                       at = static_cast<std::size_t>(positions[r] * half + i);
            const std::complex<double> turned = std::complex<double>(from[a], from[b]) * std::complex<double>(cos[at], sin[at]);
            expected[a] = turned.real(), expected[b] = turned.imag();
          }
      const std::string where = text(name_of(type), " ", R, " ", n, " ", hd);
      EXPECT_LT(relative_difference(y.values(), expected), tolerance("rope", type)) << where;
      EXPECT_EQ(in_place.values(), y.values()) << where;
      EXPECT_LT(relative_difference(back.values(), from), 2 * tolerance("rope", type)) << where;
    }
}

TEST(Rope, GradientEqualsCentralDifferences) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  constexpr std::int64_t R = 4, n = 2, hd = 6;
  const Tables t = tables(DType::f64, 9, hd);
  const TestIds positions({0, 8, 3, 3});
  TestTensor x(DType::f64, Shape{R, n, hd}, random_values(R * n * hd, 1)), y(DType::f64, Shape{R, n, hd}), dx(DType::f64, Shape{R, n, hd});
  const TestTensor dy(DType::f64, Shape{R, n, hd}, random_values(R * n * hd, 2));

  rope_backward(stream, dy, t.cos, t.sin, positions, dx);

  expect_gradient("x", x, dx.values(), [&] {
    rope_forward(stream, x, t.cos, t.sin, positions, y);
    return dot(y.values(), dy.values());
  });
}

TEST(Rope, SlicesOfAFusedProductLeaveTheRestAlone) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr std::int64_t R = 33, n = 3, hd = 8, width = 6 * hd;
  const Tables t = tables(DType::f32, R, hd);
  const TestIds positions(random_ids(R, R, 3));
  const TestTensor fused(DType::f32, Shape{R, width}, random_values(R * width, 1));
  TestTensor turned = fused, alone(DType::f32, Shape{R, n, hd}, doubles_of(fused.view().columns(2 * hd, n * hd)));
  const View slice = turned.view().columns(2 * hd, n * hd).split_last(n, hd);

  rope_forward(stream, slice, t.cos, t.sin, positions, slice);
  rope_forward(stream, alone, t.cos, t.sin, positions, alone);

  EXPECT_EQ(doubles_of(slice), alone.values());
  EXPECT_EQ(doubles_of(turned.view().columns(0, 2 * hd)), doubles_of(fused.view().columns(0, 2 * hd)));
  EXPECT_EQ(doubles_of(turned.view().columns(5 * hd, hd)), doubles_of(fused.view().columns(5 * hd, hd)));
}

TEST(Rope, BitsDoNotDependOnThreads) {
  for (const DType type : all_types) {
    constexpr std::int64_t R = 517, n = 5, hd = 34;
    const Tables t = tables(sum_type(type), R, hd);
    const TestIds positions(random_ids(R, R, 3));
    const TestTensor x(type, Shape{R, n, hd}, random_values(R * n * hd, 1));
    expect_same_bits_on_any_threads(name_of(type), [&](Stream& stream) {
      TestTensor y(type, Shape{R, n, hd}), dx(type, Shape{R, n, hd});
      rope_forward(stream, x, t.cos, t.sin, positions, y);
      rope_backward(stream, x, t.cos, t.sin, positions, dx);
      return Bytes{y.bytes(), dx.bytes()};
    });
  }
}

// A GPU cannot throw; what it turns there is not a number, which the run then reports.
TEST(Rope, PositionsBeyondTheTablesAreNamed) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  const Tables t = tables(DType::f32, 4, 2);
  const TestIds positions({1, 4});
  TestTensor x(DType::f32, Shape{2, 1, 2});

  if (!stream.on_gpu())
    return expect_internal_error("row 1 has position 4, the tables end at 4",
                                 [&] { rope_forward(stream, x, t.cos, t.sin, positions, x); });
  rope_forward(stream, x, t.cos, t.sin, positions, x);
  EXPECT_EQ(x.values()[0], 0);
  EXPECT_TRUE(std::isnan(x.values()[2]) && std::isnan(x.values()[3]));
}

}  // namespace
}  // namespace strata::test
