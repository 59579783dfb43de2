// SwiGLU: values by hand and in fp64, gradients against central differences, aliasing, extremes, bits.
#include "strata/ops/swiglu.hpp"

#include "ops/tolerance.hpp"

namespace strata::test {
namespace {

struct Expected {
  Doubles y, dgate_up;
};

Expected plain(const Doubles& gate_up, const Doubles& dy, std::size_t F) {
  Expected e{Doubles(dy.size()), Doubles(gate_up.size())};
  for (std::size_t i = 0; i < dy.size(); ++i) {
    const std::size_t gate = i / F * 2 * F + i % F, up = gate + F;
    const double g = gate_up[gate], u = gate_up[up], s = 1 / (1 + std::exp(-g));
    e.y[i] = g * s * u;
    e.dgate_up[gate] = dy[i] * u * s * (1 + g * (1 - s));
    e.dgate_up[up] = dy[i] * g * s;
  }
  return e;
}

TEST(Swiglu, GradientsEqualCentralDifferences) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr std::int64_t R = 4, F = 7;
  TestTensor gate_up(DType::f64, Shape{R, 2 * F}, random_values(R * 2 * F, 1), 3), y(DType::f64, Shape{R, F}),
      dgate_up(DType::f64, Shape{R, 2 * F}, 1);
  const TestTensor dy(DType::f64, Shape{R, F}, random_values(R * F, 2), 2);

  swiglu_backward(stream, dy, gate_up, dgate_up);

  expect_gradient("gate_up", gate_up, dgate_up.values(), [&] {
    swiglu_forward(stream, gate_up, y);
    return dot(y.values(), dy.values());
  });
}

TEST(Swiglu, ValuesEqualPlainLoopsAndGradientMayOverwriteItsInput) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const std::int64_t sizes[][2] = {{1, 1}, {3, 17}, {65, 3}, {17, 129}, {129, 517}, {2, 20000}};
  for (const DType type : all_types)
    for (const auto& [R, F] : sizes) {
      const TestTensor gate_up(type, Shape{R, 2 * F}, random_values(R * 2 * F, 1, 3.0), 1),
          dy(type, Shape{R, F}, random_values(R * F, 2), 2);
      TestTensor y(type, Shape{R, F}, 3), dgate_up(type, Shape{R, 2 * F}, 1), in_place = gate_up;

      swiglu_forward(stream, gate_up, y);
      swiglu_backward(stream, dy, gate_up, dgate_up);
      swiglu_backward(stream, dy, in_place, in_place);

      const Expected expected = plain(gate_up.values(), dy.values(), static_cast<std::size_t>(F));
      const std::string where = text(name_of(type), " ", R, " ", F);
      EXPECT_LT(relative_difference(y.values(), expected.y), tolerance("swiglu", type)) << where;
      EXPECT_LT(relative_difference(dgate_up.values(), expected.dgate_up), tolerance("swiglu", type)) << where;
      EXPECT_EQ(in_place.bytes(), dgate_up.bytes()) << where;
    }
}

TEST(Swiglu, LargeGatesNeitherOverflowNorVanishWrongly) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  const TestTensor gate_up(DType::f32, Shape{1, 6}, {1000, -1000, 0, 2, 3, 5}), dy(DType::f32, Shape{1, 3}, {1, 1, 1});
  TestTensor y(DType::f32, Shape{1, 3}), dgate_up(DType::f32, Shape{1, 6});

  swiglu_forward(stream, gate_up, y);
  swiglu_backward(stream, dy, gate_up, dgate_up);

  EXPECT_EQ(y.values(), (Doubles{2000, 0, 0}));
  EXPECT_EQ(dgate_up.values(), (Doubles{2, 0, 2.5, 1000, 0, 0}));
}

TEST(Swiglu, BitsDoNotDependOnThreads) {
  for (const DType type : all_types) {
    constexpr std::int64_t R = 129, F = 517;
    const TestTensor gate_up(type, Shape{R, 2 * F}, random_values(R * 2 * F, 1)), dy(type, Shape{R, F}, random_values(R * F, 2));
    expect_same_bits_on_any_threads(name_of(type), [&](Stream& stream) {
      TestTensor y(type, Shape{R, F}), dgate_up(type, Shape{R, 2 * F});
      swiglu_forward(stream, gate_up, y);
      swiglu_backward(stream, dy, gate_up, dgate_up);
      return Bytes{y.bytes(), dgate_up.bytes()};
    });
  }
}

TEST(Swiglu, BitsDoNotDependOnThePositionInARow) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  constexpr std::int64_t F = 77;
  for (const DType type : all_types) {
    const TestTensor row(type, Shape{1, 2 * F}, random_values(2 * F, 1));
    TestTensor whole(type, Shape{1, F});
    swiglu_forward(stream, row, whole);
    for (std::size_t j = 0; j < F; ++j) {
      const TestTensor pair(type, Shape{1, 2}, {row.values()[j], row.values()[j + F]});
      TestTensor one(type, Shape{1, 1});
      swiglu_forward(stream, pair, one);
      EXPECT_EQ(one.values()[0], whole.values()[j]) << name_of(type) << " " << j;
    }
  }
}

TEST(Swiglu, WrongShapesAreNamed) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  const TestTensor gate_up(DType::f32, Shape{2, 7});
  TestTensor y(DType::f32, Shape{2, 4});

  expect_internal_error("swiglu_forward: gate_up has shape [2, 7], expected [2, 8]", [&] { swiglu_forward(stream, gate_up, y); });
}

}  // namespace
}  // namespace strata::test
