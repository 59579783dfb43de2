// RMS normalisation: values by hand and in fp64, gradients against central differences, heads in a fused product, aliasing, bits.
#include "strata/ops/rms_norm.hpp"

#include "ops/cuda/attention_tensor.hpp"
#include "ops/cuda/teams.hpp"
#include "ops/tolerance.hpp"
#include "strata/ops/gpu_limits.hpp"

namespace strata::test {
namespace {

constexpr double eps = 1e-6;

struct Expected {
  Doubles y, rstd, dx, dweight;
};

/// The formulas of the header in plain loops over rows of H, sums in long double.
Expected plain(const Doubles& x, const Doubles& weight, const Doubles& dy) {
  const std::size_t H = weight.size(), rows = x.size() / H;
  Expected e{Doubles(x.size()), Doubles(rows), Doubles(x.size()), Doubles(H, 0.0)};
  for (std::size_t r = 0; r < rows; ++r) {
    long double squares = 0, mean = 0;
    for (std::size_t j = 0; j < H; ++j) squares += static_cast<long double>(x[r * H + j]) * x[r * H + j];
    const double rstd = e.rstd[r] = static_cast<double>(1 / std::sqrt(squares / static_cast<long double>(H) + eps));
    for (std::size_t j = 0; j < H; ++j)
      mean += static_cast<long double>(dy[r * H + j]) * weight[j] * x[r * H + j] * rstd / static_cast<long double>(H);
    for (std::size_t j = 0; j < H; ++j) {
      const double xhat = x[r * H + j] * rstd;
      e.y[r * H + j] = xhat * weight[j];
      e.dx[r * H + j] = rstd * (dy[r * H + j] * weight[j] - xhat * static_cast<double>(mean));
      e.dweight[j] += dy[r * H + j] * xhat;
    }
  }
  return e;
}

TEST(RmsNorm, ValuesByHand) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  const TestTensor x(DType::f64, Shape{2, 2}, {3, 4, 0, 0}), weight(DType::f64, Shape{2}, {1, 2});
  TestTensor y(DType::f64, Shape{2, 2}), rstd(DType::f64, Shape{2});

  rms_norm_forward(stream, x, weight, 0.5, y, rstd);  // mean of squares 12.5 and 0

  EXPECT_NEAR(rstd.values()[0], 1 / std::sqrt(13.0), 1e-15);
  EXPECT_NEAR(rstd.values()[1], std::sqrt(2.0), 1e-15);
  EXPECT_NEAR(y.values()[0], 3 / std::sqrt(13.0), 1e-15);
  EXPECT_NEAR(y.values()[1], 8 / std::sqrt(13.0), 1e-15);
  EXPECT_EQ(y.values()[2], 0);
}

TEST(RmsNorm, GradientsEqualCentralDifferences) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr std::int64_t R = 3, n = 2, H = 5;
  TestTensor x(DType::f64, Shape{R, n, H}, random_values(R * n * H, 1), 2), weight(DType::f64, Shape{H}, random_values(H, 2));
  const TestTensor dy(DType::f64, Shape{R, n, H}, random_values(R * n * H, 3), 1);
  TestTensor rstd(DType::f64, Shape{R, n}), dx(DType::f64, Shape{R, n, H}), dweight(DType::f64, Shape{H}), y(DType::f64, Shape{R, n, H});
  const auto loss = [&] {
    rms_norm_forward(stream, x, weight, eps, y, {});
    return dot(y.values(), dy.values());
  };

  rms_norm_forward(stream, x, weight, eps, y, rstd);
  rms_norm_backward(stream, dy, x, weight, rstd, dx, Write::set, dweight, Write::set);

  expect_gradient("x", x, dx.values(), loss);
  expect_gradient("weight", weight, dweight.values(), loss);
}

TEST(RmsNorm, ValuesEqualPlainLoops) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const std::int64_t sizes[][2] = {{1, 1}, {3, 17}, {65, 3}, {129, 65}, {17, 517}, {517, 129}, {2, 1024}, {1, 3}};
  for (const DType type : all_types)
    for (const auto& [R, H] : sizes) {
      const TestTensor x(type, Shape{R, H}, random_values(R * H, 1), 3), weight(type, Shape{H}, random_values(H, 2)),
          dy(type, Shape{R, H}, random_values(R * H, 3), 1);
      TestTensor y(type, Shape{R, H}, 2), rstd(sum_type(type), Shape{R}), dx(type, Shape{R, H}, 5), dweight(sum_type(type), Shape{H});

      rms_norm_forward(stream, x, weight, eps, y, rstd);
      rms_norm_backward(stream, dy, x, weight, rstd, dx, Write::set, dweight, Write::set);

      const Expected expected = plain(x.values(), weight.values(), dy.values());
      const std::string where = text(name_of(type), " ", R, " ", H);
      EXPECT_LT(relative_difference(y.values(), expected.y), tolerance("rms_norm", type)) << where;
      EXPECT_LT(relative_difference(rstd.values(), expected.rstd), tolerance("rms_norm", type, true)) << where;
      EXPECT_LT(relative_difference(dweight.values(), expected.dweight), tolerance("rms_norm", type, true)) << where;
      // With H = 1 the gradient is a difference of nearly equal numbers, of order eps.
      if (H == 1) continue;
      EXPECT_LT(relative_difference(dx.values(), expected.dx), tolerance("rms_norm", type)) << where;
    }
}

TEST(RmsNorm, NormalisedValueIsRoundedBeforeTheWeight) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  constexpr std::int64_t H = 64;
  const TestTensor x(DType::bf16, Shape{1, H}, random_values(H, 1)), weight(DType::bf16, Shape{H}, random_values(H, 2));
  TestTensor y(DType::bf16, Shape{1, H}), rstd(DType::f32, Shape{1});

  rms_norm_forward(stream, x, weight, eps, y, rstd);

  const float scale = static_cast<float>(rstd.values()[0]);
  for (std::size_t j = 0; j < H; ++j) {
    const auto rounded = static_cast<float>(BFloat16(static_cast<float>(x.values()[j]) * scale));
    EXPECT_EQ(static_cast<float>(y.values()[j]), static_cast<float>(BFloat16(rounded * static_cast<float>(weight.values()[j])))) << j;
  }
}

TEST(RmsNorm, HeadsInAFusedProduct) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr std::int64_t R = 67, nh = 3, hd = 16, width = 5 * hd;
  for (const DType type : all_types) {
    const TestTensor fused(type, Shape{R, width}, random_values(R * width, 1)), weight(type, Shape{hd}, random_values(hd, 2)),
        dfused(type, Shape{R, width}, random_values(R * width, 3));
    TestTensor in_place = fused, in_place_gradient = dfused, rstd(sum_type(type), Shape{R, nh}), dweight(sum_type(type), Shape{hd});
    const auto heads = [&](auto view) { return view.columns(hd, nh * hd).split_last(nh, hd); };
    const Doubles x = doubles_of(heads(fused.view())), dy = doubles_of(heads(dfused.view()));

    rms_norm_forward(stream, heads(in_place.view()), weight, eps, heads(in_place.view()), rstd);
    rms_norm_backward(stream, heads(dfused.view()), heads(fused.view()), weight, rstd, heads(in_place_gradient.view()), Write::set, dweight,
                      Write::set);

    const Expected expected = plain(x, weight.values(), dy);
    EXPECT_LT(relative_difference(doubles_of(heads(in_place.view())), expected.y), tolerance("rms_norm", type));
    EXPECT_LT(relative_difference(doubles_of(heads(in_place_gradient.view())), expected.dx), tolerance("rms_norm", type));
    EXPECT_LT(relative_difference(dweight.values(), expected.dweight), tolerance("rms_norm", type, true));
    EXPECT_EQ(doubles_of(in_place.view().columns(0, hd)), doubles_of(fused.view().columns(0, hd)));
    EXPECT_EQ(doubles_of(in_place.view().columns(4 * hd, hd)), doubles_of(fused.view().columns(4 * hd, hd)));
  }
}

TEST(RmsNorm, OutputsMayBeInputsAndAddingAdds) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr std::int64_t R = 70, H = 45;
  for (const DType type : all_types) {
    const TestTensor x(type, Shape{R, H}, random_values(R * H, 1)), weight(type, Shape{H}, random_values(H, 2)),
        dy(type, Shape{R, H}, random_values(R * H, 3));
    const TestTensor old_dx(type, Shape{R, H}, random_values(R * H, 4)), old_dweight(sum_type(type), Shape{H}, random_values(H, 5));
    TestTensor y(type, Shape{R, H}), rstd(sum_type(type), Shape{R}), dx(type, Shape{R, H}), dweight(sum_type(type), Shape{H}),
        y_is_x = x, dx_is_dy = dy, added_dx = old_dx, added_dweight = old_dweight;

    rms_norm_forward(stream, x, weight, eps, y, rstd);
    rms_norm_forward(stream, y_is_x, weight, eps, y_is_x, {});
    rms_norm_backward(stream, dy, x, weight, rstd, dx, Write::set, dweight, Write::set);
    rms_norm_backward(stream, dx_is_dy, x, weight, rstd, dx_is_dy, Write::set, dweight, Write::set);
    rms_norm_backward(stream, dy, x, weight, rstd, added_dx, Write::add, added_dweight, Write::add);

    EXPECT_EQ(y_is_x.bytes(), y.bytes());
    EXPECT_EQ(dx_is_dy.bytes(), dx.bytes());
    Doubles sum = plain(x.values(), weight.values(), dy.values()).dx, weight_sum = dweight.values();
    const Doubles terms = old_dx.values(), weight_terms = old_dweight.values();
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += terms[i];
    for (std::size_t j = 0; j < weight_sum.size(); ++j) weight_sum[j] += weight_terms[j];
    EXPECT_LT(relative_difference(added_dx.values(), sum), tolerance("rms_norm", type));
    EXPECT_LT(relative_difference(added_dweight.values(), weight_sum), rounding_of(sum_type(type)));
  }
}

TEST(RmsNorm, BitsDoNotDependOnThreads) {
  for (const DType type : all_types) {
    constexpr std::int64_t R = 1030, H = 300;
    const TestTensor x(type, Shape{R, H}, random_values(R * H, 1)), weight(type, Shape{H}, random_values(H, 2)),
        dy(type, Shape{R, H}, random_values(R * H, 3));
    expect_same_bits_on_any_threads(name_of(type), [&](Stream& stream) {
      TestTensor y(type, Shape{R, H}), rstd(sum_type(type), Shape{R}), dx(type, Shape{R, H}), dweight(sum_type(type), Shape{H});
      rms_norm_forward(stream, x, weight, eps, y, rstd);
      rms_norm_backward(stream, dy, x, weight, rstd, dx, Write::set, dweight, Write::set);
      return Bytes{y.bytes(), rstd.bytes(), dx.bytes(), dweight.bytes()};
    });
  }
}

TEST(RmsNorm, PlanRecordsCostAndWorkspace) {
  Stream stream = Stream::plan();
  const View x(nullptr, DType::bf16, Shape{130, 64}), weight(nullptr, DType::bf16, Shape{64}), rstd(nullptr, DType::f32, Shape{130}),
      dweight(nullptr, DType::f32, Shape{64});

  rms_norm_backward(stream, x, x, weight, rstd, x, Write::set, dweight, Write::set);

  EXPECT_EQ(stream.largest_workspace(), 3 * 64 * 4);  // three blocks of rows
  EXPECT_EQ(stream.costs().at("rms_norm_backward").flops, 9.0 * 130 * 64);
}

TEST(RmsNorm, WrongShapesAreNamed) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  const TestTensor x(DType::f32, Shape{2, 4}), weight(DType::f32, Shape{3}), half(DType::bf16, Shape{4});
  TestTensor y(DType::f32, Shape{2, 4});

  expect_internal_error("rms_norm_forward: weight has shape [3], expected [4]", [&] { rms_norm_forward(stream, x, weight, eps, y, {}); });
  expect_internal_error("rms_norm_forward: weight is bf16, expected f32", [&] { rms_norm_forward(stream, x, half, eps, y, {}); });
}

// What `check` tells before a run is what the kernels would refuse in it.
TEST(GpuLimits, AreThoseOfTheKernels) {
  for (const DType type : all_types) {
    const std::int64_t most = largest_gpu_norm(type);
    EXPECT_GE(cuda::teams_for(most, type).threads() * cuda::teams_for(most, type).packs * 16,
              most * static_cast<std::int64_t>(size_of(type)));
    expect_internal_error("norms on a GPU take rows of up to", [&] { cuda::teams_for(most + 1, type); });
  }
}

}  // namespace
}  // namespace strata::test
