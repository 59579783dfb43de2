// Element-wise work: fill, conversions, additions, sums of squares, and the exact split of the fp32 master.
#include "strata/ops/elementwise.hpp"

#include <bit>
#include <limits>

#include "ops/tolerance.hpp"
#include "strata/tensor/fold.hpp"

namespace strata::test {
namespace {

constexpr DType host_types[] = {DType::f32, DType::bf16, DType::f64};

using Index = std::int64_t;
const Index lengths[] = {1, 3, 17, 65, 129, 517, 16384, 16385, 40000};

TEST(Elementwise, FillSetsEveryElement) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : host_types)
    for (const Index n : lengths) {
      TestTensor y(type, Shape{n});
      fill(stream, y, -1.5);
      EXPECT_EQ(y.values(), Doubles(static_cast<std::size_t>(n), -1.5));
    }
}

TEST(Elementwise, CastRoundsOnceToTheTargetType) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType from : host_types)
    for (const DType to : host_types)
      for (const Index n : {Index{1}, Index{129}, Index{20000}}) {
        const TestTensor x(from, Shape{n}, random_values(n, 1, 100.0));
        TestTensor y(to, Shape{n});
        const TestTensor expected(to, Shape{n}, x.values());  // TestTensor rounds each value to its type

        cast(stream, x, y);

        EXPECT_EQ(y.bytes(), expected.bytes()) << name_of(from) << " to " << name_of(to) << " " << n;
      }
}

TEST(Elementwise, AddIntoAdds) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : {DType::f32, DType::f64})
    for (const Index n : lengths) {
      const TestTensor x(type, Shape{n}, random_values(n, 1)), before(type, Shape{n}, random_values(n, 2));
      TestTensor y = before, expected(type, Shape{n});
      Doubles sum = before.values();
      const Doubles terms = x.values();
      for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += terms[i];
      expected.set(sum);  // the sum of two floats in double, rounded to float, is the float sum

      add_into(stream, y, x);

      EXPECT_EQ(y.bytes(), expected.bytes());
    }
}

/// What a split gives and a join puts back, for many bit patterns at once.
struct Split {
  std::vector<std::uint32_t> bits;
  std::vector<std::uint16_t> weight;
  std::vector<std::int16_t> remainder;
  std::vector<std::uint32_t> joined;

  explicit Split(std::vector<std::uint32_t> patterns)
      : bits(std::move(patterns)), weight(bits.size()), remainder(bits.size()), joined(bits.size()) {
    ThreadPool pool(2);
    Stream stream = test_stream(pool);
    const Shape shape{static_cast<Index>(bits.size())};
    const View upper(weight.data(), DType::bf16, shape), lower(remainder.data(), DType::i16, shape);
    split_master(stream, ConstView(bits.data(), DType::f32, shape), upper, lower);
    join_master(stream, upper, lower, View(joined.data(), DType::f32, shape));
  }
};

TEST(Elementwise, SplitMasterIsExactForEveryUpperHalf) {
  const std::uint32_t lower[] = {0, 1, 2, 0x1234, 0x4000, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0xbeef, 0xc000, 0xfffe, 0xffff};
  std::vector<std::uint32_t> patterns;
  for (std::uint32_t upper = 0; upper < 0x10000u; ++upper)
    for (const std::uint32_t low : lower) patterns.push_back(upper << 16 | low);

  const Split split(patterns);

  for (std::size_t i = 0; i < patterns.size(); ++i) {
    const auto master = std::bit_cast<float>(split.bits[i]);
    const auto weight = static_cast<float>(BFloat16::from_bits(split.weight[i]));
    if (std::isnan(master)) {
      ASSERT_TRUE(std::isnan(weight)) << std::hex << split.bits[i];
      ASSERT_TRUE(std::isnan(std::bit_cast<float>(split.joined[i]))) << std::hex << split.bits[i];
      continue;
    }
    ASSERT_EQ(split.joined[i], split.bits[i]) << std::hex << split.bits[i];
    ASSERT_EQ(split.weight[i], static_cast<std::uint16_t>((split.bits[i] + 0x8000u) >> 16)) << std::hex << split.bits[i];
  }
}

TEST(Elementwise, SplitMasterRoundsTiesUpward) {
  const Split split({0x3f808000u, 0x3f818000u, 0xbf808000u, 0x3f807fffu, 0x7f800000u, 0xff800000u, 0x7f7fffffu, 0x7fc00000u, 0x00000001u});

  EXPECT_EQ(split.weight, (std::vector<std::uint16_t>{0x3f81, 0x3f82, 0xbf81, 0x3f80, 0x7f80, 0xff80, 0x7f80, 0x7fc0, 0x0000}));
  EXPECT_EQ(split.remainder, (std::vector<std::int16_t>{-32768, -32768, -32768, 32767, 0, 0, -1, 0, 1}));
  EXPECT_EQ(split.joined, split.bits);
}

TEST(Elementwise, SumOfSquaresInChunksOf4096) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  for (const DType type : {DType::f32, DType::f64})
    for (const Index n : {Index{1}, Index{31}, Index{4095}, Index{4096}, Index{4097}, Index{16385}, Index{50001}}) {
      const TestTensor x(type, Shape{n}, random_values(n, 1));
      const auto chunks = static_cast<std::size_t>((n + 4095) / 4096);
      std::vector<double> partials(chunks, -1);

      sum_of_squares(stream, x, View(partials.data(), DType::f64, Shape{static_cast<Index>(chunks)}));

      const Doubles values = x.values();
      for (std::size_t c = 0; c < chunks; ++c) {
        long double expected = 0;
        for (std::size_t i = c * 4096; i < std::min(values.size(), (c + 1) * 4096); ++i)
          expected += static_cast<long double>(values[i]) * values[i];
        EXPECT_NEAR(partials[c], static_cast<double>(expected), 1e-14 * static_cast<double>(expected)) << n << " chunk " << c;
      }
    }
}

// The bits of each part are those of the part alone, wherever it lies and however many there are.
TEST(Elementwise, SumsOfSquaresOfPartsAreThoseOfEachAlone) {
  ThreadPool pool(2);
  Stream stream = test_stream(pool);
  std::vector<Index> many(70, 3);
  many.push_back(8193), many.push_back(1), many.push_back(4097);
  for (const DType type : {DType::f32, DType::f64})
    for (const std::vector<Index>& lengths_of_parts :
         {std::vector<Index>{1}, {4096, 1, 4097, 31, 12288, 5}, std::vector<Index>(32, 2), many}) {
      std::vector<Index> ends;
      Index n = 0, chunks = 0;
      for (const Index length : lengths_of_parts) n += length, chunks += (length + 4095) / 4096, ends.push_back(n);
      TestTensor x(type, Shape{n}, random_values(n, 1)), together(DType::f64, Shape{chunks}), apart(DType::f64, Shape{chunks});

      sum_of_squares(stream, x, ends, together);
      Index chunk = 0, first = 0;
      for (const Index end : ends) {
        const Index count = (end - first + 4095) / 4096;
        sum_of_squares(stream, View(x).rows(first, end - first), View(apart).rows(chunk, count));
        chunk += count, first = end;
      }

      EXPECT_EQ(together.bytes(), apart.bytes()) << name_of(type) << ", " << ends.size() << " parts";
    }
}

TEST(Elementwise, SumOfSquaresHoldsLargeNumbersAndShowsInfinities) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  const TestTensor large(DType::f32, Shape{2}, {1e30, 1e30}), infinite(DType::f32, Shape{3}, {1, -INFINITY, 2}),
      nan(DType::f32, Shape{2}, {NAN, 1});
  TestTensor partial(DType::f64, Shape{1});

  sum_of_squares(stream, large, partial);
  EXPECT_NEAR(partial.values()[0], 2e60, 1e54);
  sum_of_squares(stream, infinite, partial);
  EXPECT_TRUE(std::isinf(partial.values()[0]));
  sum_of_squares(stream, nan, partial);
  EXPECT_TRUE(std::isnan(partial.values()[0]));
}

TEST(Elementwise, BitsDoNotDependOnThreads) {
  constexpr Index n = 100003;
  const TestTensor x(DType::f32, Shape{n}, random_values(n, 1));
  expect_same_bits_on_any_threads("elementwise", [&](Stream& stream) {
    TestTensor rounded(DType::bf16, Shape{n}), sum = x, partials(DType::f64, Shape{(n + 4095) / 4096}), weight(DType::bf16, Shape{n});
    std::vector<unsigned char> remainder(2 * n);
    cast(stream, x, rounded);
    add_into(stream, sum, x);
    sum_of_squares(stream, x, partials);
    split_master(stream, x, weight, View(remainder.data(), DType::i16, Shape{n}));
    return Bytes{rounded.bytes(), sum.bytes(), partials.bytes(), weight.bytes(), remainder};
  });
}

TEST(Elementwise, WrongOperandsAreNamed) {
  ThreadPool pool(1);
  Stream stream = test_stream(pool);
  TestTensor y(DType::f32, Shape{4}), strided(DType::f32, Shape{2, 2}, 1), half(DType::bf16, Shape{4});

  expect_internal_error("cast: y has 4 elements, expected 8", [&] { cast(stream, TestTensor(DType::f32, Shape{8}), y); });
  expect_internal_error("fill: y of shape [2, 2] is strided", [&] { fill(stream, strided, 0); });
  expect_internal_error("add_into: x is bf16, expected f32", [&] { add_into(stream, y, half); });
  const std::vector<Index> short_of_it{1, 3}, twice{2, 2, 4};
  expect_internal_error("parts end at element 3 of 4", [&] { sum_of_squares(stream, y, short_of_it, TestTensor(DType::f64, Shape{2})); });
  expect_internal_error("a part ends at element 2, the one before at 2",
                        [&] { sum_of_squares(stream, y, twice, TestTensor(DType::f64, Shape{2})); });
  expect_internal_error("sum_of_squares: partials has 4 elements, expected 1",
                        [&] { sum_of_squares(stream, y, TestTensor(DType::f64, Shape{4})); });
}

}  // namespace
}  // namespace strata::test
