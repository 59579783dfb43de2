// Dropout: the mask against random_bits(), its rate, what it depends on and what not, bits.
#include "strata/ops/dropout.hpp"

#include "ops/tolerance.hpp"

namespace strata::test {
namespace {

/// The factor by its definition, from one call of the scalar function.
double factor_of(const Dropout& what, std::int32_t sample, std::int64_t i, std::int64_t j) {
  const auto threshold = static_cast<std::uint32_t>(std::lround(what.p * 65536));
  const std::int64_t in_group = j % 128, half = in_group / 16, counter = j / 128 * 16 + in_group % 16;
  const auto bits =
      random_bits(what.seed, RandomPurpose::dropout, static_cast<std::uint64_t>(what.step) << 32 | static_cast<std::uint32_t>(sample),
                  static_cast<std::uint64_t>(what.site * 4096) << 32 | static_cast<std::uint64_t>(i << 16 | counter));
  const std::uint32_t word = bits[static_cast<std::size_t>(half / 2)], piece = half % 2 ? word >> 16 : word & 0xffff;
  return piece < threshold ? 0 : 65536.0 / (65536.0 - threshold);
}

struct Drawn {
  std::vector<std::int32_t> samples;
  Dropout what;
  Drawn(double p, std::vector<std::int32_t> numbers, std::uint64_t seed = 9, std::uint32_t step = 4, std::uint32_t site = 6)
      : samples(std::move(numbers)),
        what{p, seed, step, site, ConstView(samples.data(), DType::i32, Shape{static_cast<std::int64_t>(samples.size())})} {}
};

Doubles drop_ones(const Drawn& drawn, std::int64_t S, std::int64_t H, DType type = DType::f64, int threads = 2) {
  ThreadPool pool(threads);
  Stream stream = test_stream(pool);
  const std::int64_t R = static_cast<std::int64_t>(drawn.samples.size()) * S;
  TestTensor x(type, Shape{R, H}, Doubles(static_cast<std::size_t>(R * H), 1.0));
  dropout(stream, x, drawn.what, x);
  return x.values();
}

TEST(Dropout, FactorsAreThoseOfTheirDefinition) {
  for (const std::int64_t H : {1, 17, 128, 301}) {
    const Drawn drawn(0.3, {5, 0, 2147483647});
    constexpr std::int64_t S = 3;
    const Doubles found = drop_ones(drawn, S, H);
    for (std::size_t at = 0; at < found.size(); ++at) {
      const auto r = static_cast<std::int64_t>(at) / H, j = static_cast<std::int64_t>(at) % H;
      EXPECT_EQ(found[at], factor_of(drawn.what, drawn.samples[static_cast<std::size_t>(r / S)], r % S, j)) << H << " " << at;
    }
  }
}

TEST(Dropout, TheRateIsTheAskedOneAndTheMeanIsKept) {
  for (const double p : {0.1, 0.5, 0.9}) {
    const Doubles found = drop_ones(Drawn(p, {1, 2, 3, 4}), 100, 1000);
    double zeros = 0, sum = 0;
    for (const double value : found) zeros += value == 0, sum += value;
    const auto n = static_cast<double>(found.size());
    EXPECT_NEAR(zeros / n, p, 5 * std::sqrt(p * (1 - p) / n)) << p;
    EXPECT_NEAR(sum / n, 1.0, 5 * std::sqrt(p / (1 - p) / n)) << p;
  }
}

TEST(Dropout, EachPartOfTheKeyChangesTheMask) {
  const Doubles first = drop_ones(Drawn(0.5, {1}), 4, 64);
  EXPECT_NE(first, drop_ones(Drawn(0.5, {2}), 4, 64));
  EXPECT_NE(first, drop_ones(Drawn(0.5, {1}, 10), 4, 64));
  EXPECT_NE(first, drop_ones(Drawn(0.5, {1}, 9, 5), 4, 64));
  EXPECT_NE(first, drop_ones(Drawn(0.5, {1}, 9, 4, 7), 4, 64));
  EXPECT_EQ(first, drop_ones(Drawn(0.5, {1}), 4, 64));
}

TEST(Dropout, ASampleHasItsMaskInAnyBatch) {
  const Doubles batch = drop_ones(Drawn(0.4, {3, 8, 1}), 5, 70), alone = drop_ones(Drawn(0.4, {8}), 5, 70);
  EXPECT_EQ(Doubles(batch.begin() + 350, batch.begin() + 700), alone);
  const Doubles longer = drop_ones(Drawn(0.4, {8}), 9, 70);
  EXPECT_EQ(Doubles(longer.begin(), longer.begin() + 350), alone);
}

TEST(Dropout, WithoutProbabilityItCopies) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  const TestTensor x(DType::bf16, Shape{3, 5}, random_values(15, 1));
  TestTensor y(DType::bf16, Shape{3, 5});
  dropout(stream, x, {}, y);
  EXPECT_EQ(y.bytes(), x.bytes());
}

TEST(Dropout, BitsDoNotDependOnThreadsNorTheMaskOnTheType) {
  const Drawn drawn(0.1, {1, 2, 3, 4, 5});
  const Doubles one = drop_ones(drawn, 30, 200, DType::f64, 1);
  for (const int threads : {2, 3, 5}) EXPECT_EQ(one, drop_ones(drawn, 30, 200, DType::f64, threads));
  for (const DType type : {DType::f32, DType::bf16}) {
    const Doubles found = drop_ones(drawn, 30, 200, type);
    for (std::size_t i = 0; i < one.size(); ++i) EXPECT_EQ(found[i] == 0, one[i] == 0);
  }
}

TEST(Dropout, WrongInputsAreNamed) {
  Stream stream = Stream::plan();
  const View x(nullptr, DType::f32, Shape{6, 4});
  const View four(nullptr, DType::i32, Shape{4});
  expect_internal_error("dropout: 6 rows are not those of 4 sequences", [&] { dropout(stream, x, {0.1, 1, 1, 1, four}, x); });
  expect_internal_error("dropout: dropout probability -0.1", [&] { dropout(stream, x, {-0.1, 1, 1, 1, {}}, x); });
}

}  // namespace
}  // namespace strata::test
