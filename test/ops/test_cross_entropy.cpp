// Head with loss: gradients against central differences, values against plain loops, chunks, masked rows and bits.
#include <cmath>

#include "ops/cpu/cross_entropy.hpp"
#include "ops/cpu/softmax_row.hpp"
#include "ops/cuda/cross_entropy.hpp"
#include "ops/gradient_check.hpp"
#include "strata/ops/cross_entropy.hpp"

namespace strata::test {
namespace {

DType sum_type(DType type) {
  return type == DType::f64 ? DType::f64 : DType::f32;
}

/// Labels in [0, V), every fourth row not counted.
TestIds labels_for(std::int64_t R, std::int64_t V) {
  auto labels = random_ids(R, V, 7);
  for (std::size_t r = 2; r < labels.size(); r += 4) labels[r] = -100;
  return TestIds(labels);
}

struct Reference {
  Doubles loss, dx, dweight;
};
/// Everything in f64 by plain loops, from the stored (rounded) inputs.
Reference plain_loops(const TestTensor& x, const TestTensor& weight, const TestIds& labels, std::int64_t R, std::int64_t H, std::int64_t V,
                      double scale) {
  const Doubles xs = x.values(), ws = weight.values();
  Reference out{Doubles(static_cast<std::size_t>(R), 0.0), Doubles(xs.size(), 0.0), Doubles(ws.size(), 0.0)};
  Doubles z(static_cast<std::size_t>(V));
  for (std::int64_t r = 0; r < R; ++r) {
    if (labels[r] < 0) continue;
    const double* row = xs.data() + r * H;
    double most = -INFINITY, sum = 0;
    for (std::int64_t v = 0; v < V; ++v) {
      double& logit = z[static_cast<std::size_t>(v)] = 0;
      for (std::int64_t h = 0; h < H; ++h) logit += row[h] * ws[static_cast<std::size_t>(v * H + h)];
      most = std::max(most, logit);
    }
    for (const double logit : z) sum += std::exp(logit - most);
    out.loss[static_cast<std::size_t>(r)] = most + std::log(sum) - z[static_cast<std::size_t>(labels[r])];
    for (std::int64_t v = 0; v < V; ++v) {
      const double dz = scale * (std::exp(z[static_cast<std::size_t>(v)] - most) / sum - (v == labels[r] ? 1.0 : 0.0));
      for (std::int64_t h = 0; h < H; ++h) {
        out.dx[static_cast<std::size_t>(r * H + h)] += dz * ws[static_cast<std::size_t>(v * H + h)];
        out.dweight[static_cast<std::size_t>(v * H + h)] += dz * row[h];
      }
    }
  }
  return out;
}

TEST(CrossEntropy, GradientsEqualCentralDifferences) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr std::int64_t R = 6, H = 5, V = 17;
  constexpr double scale = 0.25;
  TestTensor x(DType::f64, Shape{R, H}, random_values(R * H, 1), 3), weight(DType::f64, Shape{V, H}, random_values(V * H, 2));
  const TestIds labels = labels_for(R, V);
  const auto loss = [&] {
    TestTensor row_loss(DType::f64, Shape{R});
    linear_cross_entropy_forward(stream, x, weight, labels, row_loss);
    double sum = 0;
    for (const double l : row_loss.values()) sum += l;
    return scale * sum;
  };
  TestTensor row_loss(DType::f64, Shape{R}), dx(DType::f64, Shape{R, H}), dweight(DType::f64, Shape{V, H});

  linear_cross_entropy_backward(stream, x, weight, labels, scale, row_loss, dx, dweight, Write::set);

  expect_gradient("x", x, dx.values(), loss);
  expect_gradient("weight", weight, dweight.values(), loss);
}

TEST(CrossEntropy, ValuesEqualPlainLoops) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  struct Size {
    std::int64_t R, H, V;
  };
  for (const DType type : all_types)
    for (const auto& [R, H, V] : {Size{1, 1, 1}, Size{3, 17, 65}, Size{17, 65, 513}, Size{65, 33, 600}, Size{1, 3, 5000}, Size{4, 600, 3},
                                  Size{1100, 3, 17}, Size{4099, 3, 17}, Size{2, 5, 130001}}) {
      const double scale = type == DType::f16 ? 1024 : 1.0 / 48;  // as a scaled loss has it: 1 / 48 / 130001 is nearly nothing in f16
      const TestTensor x(type, Shape{R, H}, random_values(R * H, 1), 4),
          weight(type, Shape{V, H}, random_values(V * H, 2, 1.0 / std::sqrt(static_cast<double>(H))));
      const TestIds labels = labels_for(R, V);
      TestTensor forward(DType::f64, Shape{R}), backward(DType::f64, Shape{R}), dx(type, Shape{R, H}, 2),
          dweight(sum_type(type), Shape{V, H});

      linear_cross_entropy_forward(stream, x, weight, labels, forward);
      linear_cross_entropy_backward(stream, x, weight, labels, scale, backward, dx, dweight, Write::set);

      const Reference expected = plain_loops(x, weight, labels, R, H, V, scale);
      const std::string where = text(name_of(type), " ", R, " ", H, " ", V);
      // Logits, exponentials and sums in f32; in bf16 and f16 dz is rounded once before the products (averaging out over them), dx once
      // more. A GPU rounds the logits too. Sums of 130,001 terms err more, on the host as on a GPU (94 roundings in f32, 114 in f64 as
      // measured).
      const bool rounded = size_of(type) == 2 && test_gpu();
      const double sums = rounded ? rounding_of(type) : (V > 100000 ? 128 : 64) * rounding_of(sum_type(type)),
                   gradient = size_of(type) == 2 ? (rounded ? 4 : 2) * rounding_of(type) : sums;
      EXPECT_EQ(forward.values(), backward.values()) << where;
      EXPECT_LT(relative_difference(forward.values(), expected.loss), sums) << where;
      EXPECT_LT(relative_difference(dx.values(), expected.dx), gradient) << where;
      EXPECT_LT(relative_difference(dweight.values(), expected.dweight), gradient) << where;
    }
}

TEST(CrossEntropy, ChunksAreFixedByTheVocabulary) {
  EXPECT_EQ(cpu::cross_entropy_chunk(151936), 832);
  EXPECT_EQ(cpu::cross_entropy_chunk(32000), 1024);
  EXPECT_EQ(cpu::cross_entropy_chunk(1), 1024);
  EXPECT_EQ(cpu::cross_entropy_chunk(std::int64_t{1} << 24), 64);
  EXPECT_EQ(cpu::cross_entropy_workspace(10, 100, DType::bf16), 10 * 112 * 4);
  EXPECT_EQ(cpu::cross_entropy_workspace(5000, 100, DType::f64), 1024 * 112 * 8);
  EXPECT_EQ(cuda::cross_entropy_chunk(151936, DType::bf16), 4096);
  EXPECT_EQ(cuda::cross_entropy_chunk(151936, DType::f64), 1024);
  EXPECT_EQ(cuda::cross_entropy_chunk(1, DType::bf16), 4096);
  EXPECT_EQ(cuda::cross_entropy_workspace(10, 100, DType::bf16), 10 * 128 * 2);
}

TEST(CrossEntropy, BitsDoNotDependOnThreadsAndDxMayLieWhereXDoes) {
  constexpr std::int64_t R = 1100, H = 65, V = 600;  // two chunks
  const TestIds labels = labels_for(R, V);
  for (const DType type : all_types) {
    const TestTensor x(type, Shape{R, H}, random_values(R * H, 1)), weight(type, Shape{V, H}, random_values(V * H, 2));
    std::vector<std::vector<unsigned char>> first;
    for (const int threads : {1, 2, 3, 5}) {
      ThreadPool pool(threads);
      Stream stream = test_stream(pool);
      TestTensor row_loss(DType::f64, Shape{R}), dx(type, Shape{R, H}), dweight(sum_type(type), Shape{V, H}),
          in_place = x, again(sum_type(type), Shape{V, H});
      linear_cross_entropy_backward(stream, x, weight, labels, 0.01, row_loss, dx, dweight, Write::set);
      linear_cross_entropy_backward(stream, in_place, weight, labels, 0.01, row_loss, in_place, again, Write::set);

      const std::vector<std::vector<unsigned char>> bytes = {row_loss.bytes(), dx.bytes(), dweight.bytes()};
      if (first.empty()) first = bytes;
      EXPECT_TRUE(bytes == first) << name_of(type) << " on " << threads << " threads";
      EXPECT_TRUE(in_place.bytes() == dx.bytes() && again.bytes() == dweight.bytes()) << name_of(type);
    }
  }
}

TEST(CrossEntropy, RowsThatDoNotCountGiveNothing) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types)
    for (const std::int64_t R : {0, 5}) {
      const TestTensor x(type, Shape{R, 4}, random_values(R * 4, 1)), weight(type, Shape{7, 4}, random_values(28, 2)),
          old(sum_type(type), Shape{7, 4}, random_values(28, 3));
      const TestIds labels(std::vector<std::int32_t>(static_cast<std::size_t>(R), -100));
      TestTensor row_loss(DType::f64, Shape{R}, Doubles(static_cast<std::size_t>(R), 1.0)), dx(type, Shape{R, 4}, random_values(R * 4, 4)),
          dweight = old;

      linear_cross_entropy_backward(stream, x, weight, labels, 1.0, row_loss, dx, dweight, Write::add);
      EXPECT_EQ(dweight.values(), old.values());
      linear_cross_entropy_backward(stream, x, weight, labels, 1.0, row_loss, dx, dweight, Write::set);
      EXPECT_EQ(dweight.values(), Doubles(28, 0.0));
      EXPECT_EQ(dx.values(), Doubles(static_cast<std::size_t>(R * 4), 0.0));
      EXPECT_EQ(row_loss.values(), Doubles(static_cast<std::size_t>(R), 0.0));
      row_loss.set(Doubles(static_cast<std::size_t>(R), 1.0));
      linear_cross_entropy_forward(stream, x, weight, labels, row_loss);
      EXPECT_EQ(row_loss.values(), Doubles(static_cast<std::size_t>(R), 0.0));
    }
}

TEST(CrossEntropy, AddingIsTheFinishedProductThenAddition) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr std::int64_t R = 33, H = 17, V = 65;
  const TestTensor x(DType::bf16, Shape{R, H}, random_values(R * H, 1)), weight(DType::bf16, Shape{V, H}, random_values(V * H, 2)),
      old(DType::f32, Shape{V, H}, random_values(V * H, 3));
  TestTensor row_loss(DType::f64, Shape{R}), dx(DType::bf16, Shape{R, H}), alone(DType::f32, Shape{V, H}), added = old, expected = old;

  linear_cross_entropy_backward(stream, x, weight, labels_for(R, V), 1.0, row_loss, dx, alone, Write::set);
  linear_cross_entropy_backward(stream, x, weight, labels_for(R, V), 1.0, row_loss, dx, added, Write::add);

  Doubles values = old.values();
  const Doubles product = alone.values();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] += product[i];
  expected.set(values);
  EXPECT_EQ(added.values(), expected.values());
}

TEST(CrossEntropy, LargeLogitsDoNotOverflowAndNaNIsSeen) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const TestTensor x(DType::f32, Shape{2, 1}, {1.0, NAN}), weight(DType::f32, Shape{3, 1}, {3e4, 3e4, -3e4});
  const TestIds labels({1, 0});
  TestTensor row_loss(DType::f64, Shape{2});

  linear_cross_entropy_forward(stream, x, weight, labels, row_loss);

  EXPECT_NEAR(row_loss.values()[0], std::log(2.0), 1e-6);
  EXPECT_TRUE(std::isnan(row_loss.values()[1]));
}

TEST(CrossEntropy, OneNaNAmongLogitsIsSeenWhereverItStands) {
  for (const std::int64_t n : {1, 17, 65, 130, 5000})
    for (const std::int64_t at : {std::int64_t{0}, n / 2, n - 1}) {
      std::vector<float> z(static_cast<std::size_t>(n), 1.0F);
      z[static_cast<std::size_t>(at)] = NAN;
      EXPECT_TRUE(std::isnan(cpu::sum_exp<false, float>(z.data(), n, cpu::row_max(z.data(), n)))) << n << " at " << at;
    }
}

TEST(CrossEntropy, TheSumOfALongRowIsAccurate) {
  constexpr std::int64_t n = 151936;
  const Doubles values = random_values(n, 9, 3.0);
  std::vector<float> z(values.begin(), values.end());
  double expected = 0;
  float most = z[0];
  for (const float v : z) most = std::max(most, v);
  for (const float v : z) expected += std::exp(static_cast<double>(v) - static_cast<double>(most));

  EXPECT_EQ(cpu::row_max(z.data(), n), most);
  const double sum = cpu::sum_exp<false, float>(z.data(), n, most);
  EXPECT_NEAR(sum / expected, 1.0, 4 * rounding_of(DType::f32));
}

TEST(CrossEntropy, ALabelOutsideTheVocabularyIsNamed) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  const TestTensor x(DType::f32, Shape{1, 2}), weight(DType::f32, Shape{3, 2});
  TestTensor row_loss(DType::f64, Shape{1});
  if (test_gpu()) {
    linear_cross_entropy_forward(stream, x, weight, TestIds({3}), row_loss);
    EXPECT_TRUE(std::isnan(row_loss.values()[0]));
    return;
  }
  try {
    linear_cross_entropy_forward(stream, x, weight, TestIds({3}), row_loss);
    FAIL() << "no error";
  } catch (const InternalError& error) {
    EXPECT_NE(std::string(error.what()).find("label 3 of a vocabulary of 3"), std::string::npos) << error.what();
  }
}

TEST(CrossEntropy, PlanLearnsTheWorkspaceAndTheCost) {
  Stream plan = Stream::plan();
  const ConstView x(nullptr, DType::bf16, Shape{512, 1024}), weight(nullptr, DType::bf16, Shape{151936, 1024}),
      labels(nullptr, DType::i32, Shape{512});
  linear_cross_entropy_backward(plan, x, weight, labels, 1.0, View(nullptr, DType::f64, Shape{512}),
                                View(nullptr, DType::bf16, Shape{512, 1024}), View(nullptr, DType::f32, Shape{151936, 1024}), Write::set);
  EXPECT_EQ(plan.largest_workspace(), cpu::cross_entropy_workspace(512, 151936, DType::bf16));
  EXPECT_EQ(plan.costs().at("linear_cross_entropy_backward").flops, 512.0 * 151936 * (6 * 1024 + 5));
}

}  // namespace
}  // namespace strata::test
