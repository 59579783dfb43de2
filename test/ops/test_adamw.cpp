// AdamW: the update by hand, many steps against fp64 and against PyTorch's order of operations in fp32, the split master, bits.
#include "strata/ops/adamw.hpp"

#include "ops/tolerance.hpp"
#include "strata/ops/elementwise.hpp"

namespace strata::test {
namespace {

using Index = std::int64_t;

AdamwStep settings(Index t) {
  AdamwStep step;
  step.lr = 1e-3, step.beta1 = 0.9, step.beta2 = 0.95, step.eps = 1e-8, step.weight_decay = 0.1, step.t = t, step.gradient_scale = 0.7;
  return step;
}

Doubles gradient_of(Index n, Index t) {
  return random_values(n, static_cast<std::uint64_t>(100 + t), 0.02);
}

/// Weight and moments in plain loops of one arithmetic type; `torch` takes torch.optim.AdamW's single-tensor order (lerp, addcmul,
/// addcdiv).
template <class T>
struct Plain {
  std::vector<T> p, m, v;

  explicit Plain(const Doubles& weight) : p(weight.begin(), weight.end()), m(weight.size(), T{0}), v(weight.size(), T{0}) {}
  void update(const Doubles& gradient, const AdamwStep& s) {
    const double correction1 = 1 - std::pow(s.beta1, static_cast<double>(s.t)),
                 correction2 = 1 - std::pow(s.beta2, static_cast<double>(s.t));
    for (std::size_t i = 0; i < p.size(); ++i) {
      const T g = static_cast<T>(gradient[i]) * static_cast<T>(s.gradient_scale);
      p[i] *= static_cast<T>(1 - s.lr * s.weight_decay);
      m[i] += static_cast<T>(1 - s.beta1) * (g - m[i]);
      v[i] = v[i] * static_cast<T>(s.beta2) + static_cast<T>(1 - s.beta2) * g * g;
      const T denominator = std::sqrt(v[i]) / static_cast<T>(std::sqrt(correction2)) + static_cast<T>(s.eps);
      p[i] += static_cast<T>(-s.lr / correction1) * (m[i] / denominator);
    }
  }
  Doubles weights() const { return Doubles(p.begin(), p.end()); }
};

TEST(Adamw, FirstStepByHand) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  TestTensor weight(DType::f64, Shape{2}, {1.0, -2.0}), m(DType::f64, Shape{2}), v(DType::f64, Shape{2});
  AdamwStep step;
  step.lr = 0.1, step.beta1 = 0.9, step.beta2 = 0.99, step.eps = 1.0, step.weight_decay = 0.5, step.t = 1, step.gradient_scale = 2.0;

  adamw_update(stream, weight, {}, TestTensor(DType::f64, Shape{2}, {1.5, 0.0}), m, v, step);

  // g' = 3: m = 0.3, v = 0.09; both corrected to 3 and 9; p = 1 * 0.95 - 0.1 * 3 / (3 + 1).
  EXPECT_NEAR(m.values()[0], 0.3, 1e-15);
  EXPECT_NEAR(v.values()[0], 0.09, 1e-15);
  EXPECT_NEAR(weight.values()[0], 0.95 - 0.075, 1e-15);
  EXPECT_NEAR(weight.values()[1], -2.0 * 0.95, 1e-15);
}

TEST(Adamw, ManyStepsEqualPlainLoopsInFp64) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr Index n = 517;
  TestTensor weight(DType::f64, Shape{n}, random_values(n, 1)), m(DType::f64, Shape{n}), v(DType::f64, Shape{n});
  Plain<double> plain(weight.values());

  for (Index t = 1; t <= 50; ++t) {
    plain.update(gradient_of(n, t), settings(t));
    adamw_update(stream, weight, {}, TestTensor(DType::f64, Shape{n}, gradient_of(n, t)), m, v, settings(t));
  }

  EXPECT_LT(relative_difference(weight.values(), plain.weights()), 1e-14);
}

TEST(Adamw, FloatUpdatesStayWithinRoundingOfPyTorchsOrder) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  constexpr Index n = 517;
  TestTensor weight(DType::f32, Shape{n}, random_values(n, 1)), m(DType::f32, Shape{n}), v(DType::f32, Shape{n});
  Plain<float> torch(weight.values());
  const Doubles start = weight.values();

  constexpr Index steps = 50;
  for (Index t = 1; t <= steps; ++t) {
    const TestTensor gradient(DType::f32, Shape{n}, gradient_of(n, t));
    torch.update(gradient.values(), settings(t));
    adamw_update(stream, weight, {}, gradient, m, v, settings(t));
  }

  const Doubles ours = weight.values(), theirs = torch.weights();
  for (std::size_t i = 0; i < n; ++i)  // two roundings of the weight a step, and a few of an update of at most about lr
    EXPECT_NEAR(ours[i], theirs[i], 50 * (2 * std::abs(start[i]) + 0.02) * rounding_of(DType::f32)) << i;
}

TEST(Adamw, SplitMasterGivesTheBitsOfTheWholeOne) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const Index n : {Index{1}, Index{3}, Index{17}, Index{65}, Index{129}, Index{517}, Index{20001}}) {
    TestTensor master(DType::f32, Shape{n}, random_values(n, 1)), m(DType::f32, Shape{n}), v(DType::f32, Shape{n}),
        m_split = m, v_split = v, weight(DType::bf16, Shape{n}), joined(DType::f32, Shape{n}), expected(DType::bf16, Shape{n});
    std::vector<std::int16_t> lower(static_cast<std::size_t>(n));
    const View remainder(lower.data(), DType::i16, Shape{n});
    split_master(stream, master, weight, remainder);

    for (Index t = 1; t <= 5; ++t) {
      const TestTensor gradient(DType::f32, Shape{n}, gradient_of(n, t));
      adamw_update(stream, master, {}, gradient, m, v, settings(t));
      adamw_update(stream, weight, remainder, gradient, m_split, v_split, settings(t));
    }
    join_master(stream, weight, remainder, joined);
    cast(stream, master, expected);

    EXPECT_EQ(joined.bytes(), master.bytes()) << n;
    EXPECT_EQ(weight.bytes(), expected.bytes()) << n;
    EXPECT_EQ(m_split.bytes(), m.bytes()) << n;
    EXPECT_EQ(v_split.bytes(), v.bytes()) << n;
  }
}

TEST(Adamw, WeightsInFp16FollowTheirMasterToTheBit) {
  if (!test_gpu()) GTEST_SKIP() << "fp16 is computed on GPUs";
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const Index n : {Index{1}, Index{3}, Index{17}, Index{129}, Index{517}, Index{20001}}) {
    TestTensor whole(DType::f32, Shape{n}, random_values(n, 1)), m(DType::f32, Shape{n}), v(DType::f32, Shape{n}),
        master = whole, m_beside = m, v_beside = v, weight(DType::f16, Shape{n});

    for (Index t = 1; t <= 5; ++t) {
      // Scaled gradients and their unscaling by the update are exact: the loss scale changes no bit.
      Doubles scaled = gradient_of(n, t);
      for (double& g : scaled) g = 65536 * static_cast<double>(static_cast<float>(g));
      AdamwStep unscale = settings(t);
      unscale.gradient_scale /= 65536;
      adamw_update(stream, whole, {}, TestTensor(DType::f32, Shape{n}, gradient_of(n, t)), m, v, settings(t));
      adamw_update(stream, weight, master, TestTensor(DType::f32, Shape{n}, scaled), m_beside, v_beside, unscale);
    }

    EXPECT_EQ(master.bytes(), whole.bytes()) << n;
    EXPECT_EQ(weight.bytes(), TestTensor(DType::f16, Shape{n}, whole.values()).bytes()) << n;
    EXPECT_EQ(m_beside.bytes(), m.bytes()) << n;
    EXPECT_EQ(v_beside.bytes(), v.bytes()) << n;
  }
}

TEST(Adamw, AnElementsBitsDependOnItsOwnValuesAlone) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  constexpr Index n = 61;
  const TestTensor start(DType::f32, Shape{n}, random_values(n, 1)), gradient(DType::f32, Shape{n}, gradient_of(n, 1)),
      first_m(DType::f32, Shape{n}, random_values(n, 2, 0.01));
  TestTensor weight = start, m = first_m, v(DType::f32, Shape{n});
  adamw_update(stream, weight, {}, gradient, m, v, settings(3));

  const auto element = [](const TestTensor& tensor, std::size_t i) {
    return TestTensor(DType::f32, Shape{1}, Doubles(1, tensor.values()[i]));
  };
  for (Index i = 0; i < n; ++i) {
    const auto at = static_cast<std::size_t>(i);
    TestTensor one = element(start, at), one_m = element(first_m, at), one_v(DType::f32, Shape{1});
    adamw_update(stream, one, {}, element(gradient, at), one_m, one_v, settings(3));
    EXPECT_EQ(one.values()[0], weight.values()[at]) << i;
    EXPECT_EQ(one_m.values()[0], m.values()[at]) << i;
  }
}

/// All that an update reads and writes, of n elements of a weight in `type`.
struct Flat {
  TestTensor weight, gradient, m, v;
  TestMemory rest;  // the remainder in bf16, the master in f16
  DType type;

  Flat(Stream& stream, DType weight_type, Index n)
      : weight(weight_type, Shape{n}, random_values(n, 1)),
        gradient(sum_type(weight_type), Shape{n}, gradient_of(n, 1)),
        m(sum_type(weight_type), Shape{n}, random_values(n, 2, 0.01)),
        v(sum_type(weight_type), Shape{n}, Doubles(static_cast<std::size_t>(n), 1e-4)),
        rest(static_cast<std::size_t>(n) * 4, 0),
        type(weight_type) {
    const TestTensor master(DType::f32, Shape{n}, random_values(n, 1));
    if (type == DType::bf16) split_master(stream, master, weight, rest_view());
    if (type == DType::f16) cast(stream, master, rest_view());
  }
  View rest_view() {
    if (type != DType::bf16 && type != DType::f16) return {};
    return View(rest.data(), type == DType::bf16 ? DType::i16 : DType::f32, View(weight).shape());
  }
  void update(Stream& stream, const AdamwStep& step, std::span<const AdamwSegment> segments) {
    adamw_update(stream, weight, rest_view(), gradient, m, v, step, segments);
  }
  void update_part(Stream& stream, const AdamwStep& step, Index first, Index count) {
    const auto part = [&](View all) { return all.given() ? all.rows(first, count) : all; };
    adamw_update(stream, part(weight), part(rest_view()), part(gradient), part(m), part(v), step);
  }
  Bytes bytes() const { return {weight.bytes(), m.bytes(), v.bytes(), rest.bytes()}; }
};

/// Lengths as units have them and as they do not: odd ones, of one element, more than a launch takes; some decay.
std::vector<AdamwSegment> segments_of(const std::vector<Index>& lengths) {
  std::vector<AdamwSegment> segments;
  for (const Index length : lengths)
    segments.push_back({(segments.empty() ? 0 : segments.back().end) + length, (segments.size() * 5 + 2) % 3 != 0});
  return segments;
}
std::vector<std::vector<Index>> segment_lengths() {
  std::vector<Index> tiny(32, 1), many;
  for (Index i = 0; i < 75; ++i) many.push_back(1 + i % 5);
  many.push_back(5000);
  return {{1}, {4096}, {1, 1}, {3, 4093, 1, 7, 517, 64, 20001, 2}, {16384, 16384, 1}, tiny, many};
}

TEST(Adamw, SegmentsHaveTheBitsOfOneByOne) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : all_types)
    for (const std::vector<Index>& lengths : segment_lengths()) {
      const std::vector<AdamwSegment> segments = segments_of(lengths);
      Flat together(stream, type, segments.back().end), apart(stream, type, segments.back().end);
      const Bytes before = together.bytes();

      for (Index t = 1; t <= 2; ++t) {
        together.update(stream, settings(t), segments);
        Index first = 0;
        for (const AdamwSegment& segment : segments) {
          AdamwStep step = settings(t);
          if (!segment.decays) step.weight_decay = 0;
          apart.update_part(stream, step, first, segment.end - first);
          first = segment.end;
        }
      }

      EXPECT_TRUE(together.bytes() == apart.bytes()) << name_of(type) << ", " << segments.size() << " segments";
      EXPECT_FALSE(together.bytes() == before) << name_of(type);
    }
}

// As shards cut them: at any element.
TEST(Adamw, ACutThroughSegmentsChangesNoBit) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  const std::vector<AdamwSegment> segments = segments_of({3, 4093, 1, 7, 517, 64, 20001, 2});
  const Index n = segments.back().end;
  for (const DType type : all_types)
    for (const Index cut : {Index{1}, Index{4096}, Index{4099}, n - 1}) {
      Flat whole(stream, type, n), parts(stream, type, n);
      whole.update(stream, settings(1), segments);

      for (const auto& [first, last] : {std::pair{Index{0}, cut}, std::pair{cut, n}}) {
        std::vector<AdamwSegment> own;
        Index begin = 0;
        for (const AdamwSegment& segment : segments) {
          if (std::min(segment.end, last) > std::max(begin, first)) own.push_back({std::min(segment.end, last) - first, segment.decays});
          begin = segment.end;
        }
        const auto part = [&, from = first, count = last - first](View all) { return all.given() ? all.rows(from, count) : all; };
        adamw_update(stream, part(parts.weight), part(parts.rest_view()), part(parts.gradient), part(parts.m), part(parts.v), settings(1),
                     own);
      }

      EXPECT_TRUE(whole.bytes() == parts.bytes()) << name_of(type) << " cut at " << cut;
    }
}

TEST(Adamw, BitsDoNotDependOnThreads) {
  constexpr Index n = 100003;
  expect_same_bits_on_any_threads("adamw", [&](Stream& stream) {
    TestTensor weight(DType::f32, Shape{n}, random_values(n, 1)), m(DType::f32, Shape{n}), v(DType::f32, Shape{n});
    adamw_update(stream, weight, {}, TestTensor(DType::f32, Shape{n}, gradient_of(n, 1)), m, v, settings(1));
    return Bytes{weight.bytes(), m.bytes(), v.bytes()};
  });
}

TEST(Adamw, WrongOperandsAreNamed) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  TestTensor weight(DType::bf16, Shape{4}), m(DType::f32, Shape{4}), v(DType::f32, Shape{4});
  const TestTensor gradient(DType::f32, Shape{4}), short_gradient(DType::f32, Shape{3});

  expect_internal_error("a weight in bf16 needs its remainder", [&] { adamw_update(stream, weight, {}, gradient, m, v, settings(1)); });
  expect_internal_error("a weight in f16 needs its master",
                        [&] { adamw_update(stream, TestTensor(DType::f16, Shape{4}), {}, gradient, m, v, settings(1)); });
  const auto wrong_segments = [&](const std::vector<AdamwSegment>& segments) {
    return [&, segments] { adamw_update(stream, TestTensor(m), {}, gradient, m, v, settings(1), segments); };
  };
  expect_internal_error("segments end at element 3 of 4", wrong_segments({{2, true}, {3, false}}));
  expect_internal_error("segments end at element 0 of 4", wrong_segments({}));
  expect_internal_error("a segment ends at element 2, the one before at 2", wrong_segments({{2, true}, {2, false}, {4, true}}));
  expect_internal_error("gradient has shape [3], expected [4]",
                        [&] { adamw_update(stream, TestTensor(m), {}, short_gradient, m, v, settings(1)); });
}

}  // namespace
}  // namespace strata::test
