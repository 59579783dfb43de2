// Linear map: gradients against central differences, values against plain loops, and the bits it must keep.
#include "ops/gradient_check.hpp"
#include "strata/ops/elementwise.hpp"
#include "strata/ops/linear.hpp"

namespace strata::test {
namespace {

DType sum_type(DType type) {
  return type == DType::f64 ? DType::f64 : DType::f32;
}

/// out[i,j] = sum_p a(i,p) b(p,j)
template <class A, class B>
Doubles plain_product(std::int64_t m, std::int64_t n, std::int64_t k, A a, B b) {
  Doubles c(static_cast<std::size_t>(m * n), 0.0);
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t p = 0; p < k; ++p)
      for (std::int64_t j = 0; j < n; ++j) c[static_cast<std::size_t>(i * n + j)] += a(i, p) * b(p, j);
  return c;
}
auto matrix(const Doubles& values, std::int64_t columns) {
  return [&values, columns](std::int64_t i, std::int64_t j) { return values[static_cast<std::size_t>(i * columns + j)]; };
}
auto matrix_transposed(const Doubles& values, std::int64_t columns) {
  return [&values, columns](std::int64_t i, std::int64_t j) { return values[static_cast<std::size_t>(j * columns + i)]; };
}

/// n numbers, quickly: a few thousand over and over, cut so that rows differ.
Doubles repeated_values(std::int64_t n, std::uint64_t seed) {
  const Doubles few = random_values(4099, seed);
  Doubles values(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = few[(i + i / few.size()) % few.size()];
  return values;
}

TEST(Linear, GradientsEqualCentralDifferences) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr std::int64_t R = 5, K = 7, N = 6;
  TestTensor x(DType::f64, Shape{R, K}, random_values(R * K, 1), 2), weight(DType::f64, Shape{N, K}, random_values(N * K, 2)),
      bias(DType::f64, Shape{N}, random_values(N, 3));
  const TestTensor dy(DType::f64, Shape{R, N}, random_values(R * N, 4), 3), residual(DType::f64, Shape{R, N}, random_values(R * N, 5));
  const auto loss = [&] {
    TestTensor y(DType::f64, Shape{R, N});
    linear_forward(stream, x, weight, bias, residual, y);
    return dot(y.values(), dy.values());
  };
  TestTensor dx(DType::f64, Shape{R, K}), dweight(DType::f64, Shape{N, K}), dbias(DType::f64, Shape{N});

  linear_backward_input(stream, dy, weight, dx);
  linear_backward_weight(stream, dy, x, dweight, dbias, Write::set);

  expect_gradient("x", x, dx.values(), loss);
  expect_gradient("weight", weight, dweight.values(), loss);
  expect_gradient("bias", bias, dbias.values(), loss);
}

struct Size {
  std::int64_t R, K, N;
};
const Size sizes[] = {{1, 65, 513}, {3, 600, 17}, {17, 3, 600}, {65, 513, 65}, {513, 17, 3}, {600, 65, 130}, {1, 1, 1}, {2, 1100, 700}};

TEST(Linear, ValuesEqualPlainLoops) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types)
    for (const auto& [R, K, N] : sizes) {
      const TestTensor x(type, Shape{R, K}, random_values(R * K, 1), 5), weight(type, Shape{N, K}, random_values(N * K, 2)),
          bias(type, Shape{N}, random_values(N, 3)), residual(type, Shape{R, N}, random_values(R * N, 4), 1),
          dy(type, Shape{R, N}, random_values(R * N, 5), 2);
      TestTensor y(type, Shape{R, N}), dx(type, Shape{R, K}), dweight(sum_type(type), Shape{N, K}), dbias(sum_type(type), Shape{N});

      linear_forward(stream, x, weight, bias, residual, y);
      linear_backward_input(stream, dy, weight, dx);
      linear_backward_weight(stream, dy, x, dweight, dbias, Write::set);

      const Doubles xs = x.values(), ws = weight.values(), dys = dy.values(), biases = bias.values(), residuals = residual.values();
      Doubles expected = plain_product(R, N, K, matrix(xs, K), matrix_transposed(ws, K)), column_sums(static_cast<std::size_t>(N), 0.0);
      for (std::size_t i = 0; i < expected.size(); ++i)
        expected[i] += biases[i % static_cast<std::size_t>(N)] + residuals[i], column_sums[i % static_cast<std::size_t>(N)] += dys[i];
      // Sums in f32 err by a few of its roundings; a bf16 or f16 result by one rounding more.
      const double sums = 32 * rounding_of(sum_type(type)), rounded = size_of(type) == 2 ? rounding_of(type) : sums;
      const std::string where = text(name_of(type), " ", R, " ", K, " ", N);
      EXPECT_LT(relative_difference(y.values(), expected), rounded) << where;
      EXPECT_LT(relative_difference(dx.values(), plain_product(R, K, N, matrix(dys, N), matrix(ws, K))), rounded) << where;
      EXPECT_LT(relative_difference(dweight.values(), plain_product(N, K, R, matrix_transposed(dys, N), matrix(xs, K))), sums) << where;
      EXPECT_LT(relative_difference(dbias.values(), column_sums), sums) << where;
    }
}

TEST(Linear, AddingIsTheFinishedResultThenAddition) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types) {
    constexpr std::int64_t R = 130, K = 65, N = 300;
    const DType sums = sum_type(type);
    const TestTensor x(type, Shape{R, K}, random_values(R * K, 1)), dy(type, Shape{R, N}, random_values(R * N, 2)),
        old_weight(sums, Shape{N, K}, random_values(N * K, 3)), old_bias(sums, Shape{N}, random_values(N, 4));
    TestTensor dweight(sums, Shape{N, K}), dbias(sums, Shape{N}), added_weight = old_weight, added_bias = old_bias,
                                                                  expected_weight = old_weight, expected_bias = old_bias;

    linear_backward_weight(stream, dy, x, dweight, dbias, Write::set);
    linear_backward_weight(stream, dy, x, added_weight, added_bias, Write::add);

    // Two f32 values added in f64 and rounded to f32 give the f32 sum.
    const auto add = [](TestTensor& to, const TestTensor& term) {
      Doubles values = to.values();
      const Doubles terms = term.values();
      for (std::size_t i = 0; i < values.size(); ++i) values[i] += terms[i];
      to.set(values);
    };
    add(expected_weight, dweight), add(expected_bias, dbias);
    EXPECT_EQ(added_weight.values(), expected_weight.values()) << name_of(type);
    EXPECT_EQ(added_bias.values(), expected_bias.values()) << name_of(type);
  }
}

// What the reduction of gradients counts on: a gradient that the product adds to another has the bits of the product, then an addition of
// its own. The widths are those of Qwen3-0.6B on a real GPU, an eighth elsewhere, and odd ones.
TEST(Linear, TheProductAddsAGradientWithTheBitsOfAdditionAfterIt) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const bool real = test_gpu() && !test_gpu()->facts().emulated;
  const std::int64_t part = real ? 1 : 8;
  struct Case {
    std::int64_t N, K, R;
  };
  // The fewer elements a gradient has and the more tokens, the more tempting are sums in parts.
  std::vector<Case> cases = {{129, 513, 600}, {17, 33, 1000}, {1, 7, 1}, {1024 / part, 2048 / part, real ? 8192 : 1024}};
  for (const std::int64_t R : {2048 / part, 1000 / part})
    for (const auto& [N, K] : {std::pair<std::int64_t, std::int64_t>{4096, 1024}, {1024, 2048}, {6144, 1024}, {1024, 3072}})
      cases.push_back({N / part, K / part, R});
  for (const DType type : all_types)
    for (const auto& [N, K, R] : cases) {
      if (type == DType::f64 && real) continue;
      const DType sums = sum_type(type);
      const TestTensor x(type, Shape{R, K}, repeated_values(R * K, 1)), dy(type, Shape{R, N}, repeated_values(R * N, 2)),
          old_weight(sums, Shape{N, K}, repeated_values(N * K, 3)), old_bias(sums, Shape{N}, repeated_values(N, 4));
      TestTensor dweight(sums, Shape{N, K}), dbias(sums, Shape{N}), after_weight = old_weight, after_bias = old_bias,
                                                                    inside_weight = old_weight, inside_bias = old_bias;

      linear_backward_weight(stream, dy, x, dweight, dbias, Write::set);
      add_into(stream, after_weight, dweight), add_into(stream, after_bias, dbias);
      linear_backward_weight(stream, dy, x, inside_weight, inside_bias, Write::add);

      const std::string where = text(name_of(type), " weight ", N, " x ", K, " rows ", R);
      EXPECT_TRUE(inside_weight.bytes() == after_weight.bytes()) << where;
      EXPECT_TRUE(inside_bias.bytes() == after_bias.bytes()) << where;
      EXPECT_FALSE(inside_weight.bytes() == old_weight.bytes()) << where;
    }
}

TEST(Linear, ResidualMayBeTheOutputAndBiasMayBeLeftOut) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types) {
    constexpr std::int64_t R = 70, K = 33, N = 600;
    const TestTensor x(type, Shape{R, K}, random_values(R * K, 1)), weight(type, Shape{N, K}, random_values(N * K, 2)),
        residual(type, Shape{R, N}, random_values(R * N, 3));
    TestTensor y(type, Shape{R, N}), in_place = residual;

    linear_forward(stream, x, weight, {}, residual, y);
    linear_forward(stream, x, weight, {}, in_place, in_place);

    EXPECT_EQ(in_place.values(), y.values()) << name_of(type);
  }
}

TEST(Linear, BitsDoNotDependOnThreads) {
  for (const DType type : all_types) {
    constexpr std::int64_t R = 600, K = 130, N = 700;
    const TestTensor x(type, Shape{R, K}, random_values(R * K, 1)), weight(type, Shape{N, K}, random_values(N * K, 2)),
        dy(type, Shape{R, N}, random_values(R * N, 3));
    std::vector<std::vector<unsigned char>> first;
    for (const int threads : {1, 2, 3, 5}) {
      ThreadPool pool(threads);
      Stream stream = test_stream(pool);
      TestTensor y(type, Shape{R, N}), dx(type, Shape{R, K}), dweight(sum_type(type), Shape{N, K}), dbias(sum_type(type), Shape{N});
      linear_forward(stream, x, weight, {}, {}, y);
      linear_backward_input(stream, dy, weight, dx);
      linear_backward_weight(stream, dy, x, dweight, dbias, Write::set);

      const std::vector<std::vector<unsigned char>> bytes = {y.bytes(), dx.bytes(), dweight.bytes(), dbias.bytes()};
      if (first.empty()) first = bytes;
      EXPECT_TRUE(bytes == first) << name_of(type) << " on " << threads << " threads";
    }
  }
}

TEST(Linear, NoRowsGiveZeroGradientsOrLeaveThem) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const TestTensor x(DType::bf16, Shape{0, 4}), weight(DType::bf16, Shape{3, 4}, random_values(12, 1));
  TestTensor y(DType::bf16, Shape{0, 3}), dweight(DType::f32, Shape{3, 4}, random_values(12, 2)),
      dbias(DType::f32, Shape{3}, random_values(3, 3));
  const Doubles before = dweight.values();

  linear_forward(stream, x, weight, {}, {}, y);
  linear_backward_weight(stream, y, x, dweight, dbias, Write::add);
  EXPECT_EQ(dweight.values(), before);
  linear_backward_weight(stream, y, x, dweight, dbias, Write::set);

  EXPECT_EQ(dweight.values(), Doubles(12, 0.0));
  EXPECT_EQ(dbias.values(), Doubles(3, 0.0));
}

TEST(Linear, PlanRecordsTheExactCostAndRunsNothing) {
  Stream plan = Stream::plan();
  const ConstView x(nullptr, DType::bf16, Shape{2048, 1024}), weight(nullptr, DType::bf16, Shape{4096, 1024});
  const View y(nullptr, DType::bf16, Shape{2048, 4096}), dweight(nullptr, DType::f32, Shape{4096, 1024});

  linear_forward(plan, x, weight, {}, {}, y);
  linear_backward_weight(plan, y, x, dweight, {}, Write::set);

  EXPECT_EQ(plan.costs().at("linear_forward").flops, 2.0 * 2048 * 1024 * 4096);
  EXPECT_EQ(plan.costs().at("linear_forward").bytes, 2.0 * (2048 * 1024 + 4096 * 1024 + 2048 * 4096));
  EXPECT_EQ(plan.costs().at("linear_backward_weight").bytes, 2.0 * (2048 * 1024 + 2048 * 4096) + 4.0 * 4096 * 1024);
}

TEST(Linear, WrongShapesAndTypesAreNamed) {
  Stream plan = Stream::plan();
  const ConstView x(nullptr, DType::f32, Shape{2, 4}), weight(nullptr, DType::f32, Shape{3, 5});
  const auto message = [&](const auto& call) {
    try {
      call();
    } catch (const InternalError& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const View y(nullptr, DType::f32, Shape{2, 3});

  EXPECT_NE(message([&] { linear_forward(plan, x, weight, {}, {}, y); }).find("linear_forward: weight has shape [3, 5], expected [3, 4]"),
            std::string::npos);
  EXPECT_NE(message([&] {
              linear_backward_weight(plan, y, x, View(nullptr, DType::bf16, Shape{3, 4}), {}, Write::set);
            }).find("linear_backward_weight: dweight is bf16, expected f32"),
            std::string::npos);
}

}  // namespace
}  // namespace strata::test
