// Matrix products against plain loops in fp64, and the bits they must keep whatever the threads, addresses and strides.
#include <cstring>
#include <thread>
#include <tuple>

#include "ops/gradient_check.hpp"
#include "strata/device/blas.hpp"

namespace strata::test {
namespace {

DType sum_type(DType in) {
  return in == DType::f64 ? DType::f64 : DType::f32;
}

/// An operand as a logical [rows, columns] matrix, stored transposed or not.
struct Operand {
  bool transposed;
  TestTensor tensor;
  Operand(DType type, std::int64_t rows, std::int64_t columns, bool is_transposed, std::uint64_t seed, std::int64_t padding = 3)
      : transposed(is_transposed),
        tensor(type, is_transposed ? Shape{columns, rows} : Shape{rows, columns}, random_values(rows * columns, seed), padding) {}
  MatrixRef ref() const {
    const ConstView view = tensor.view();
    return {view.data(), view.stride(0), transposed};
  }
  /// Row-major values of the logical matrix.
  Doubles logical(std::int64_t rows, std::int64_t columns) const {
    Doubles values = tensor.values();
    if (!transposed) return values;
    Doubles turned(values.size());
    for (std::int64_t i = 0; i < rows; ++i)
      for (std::int64_t j = 0; j < columns; ++j)
        turned[static_cast<std::size_t>(i * columns + j)] = values[static_cast<std::size_t>(j * rows + i)];
    return turned;
  }
};

Doubles plain_product(const Doubles& a, const Doubles& b, std::int64_t m, std::int64_t n, std::int64_t k) {
  Doubles c(static_cast<std::size_t>(m * n), 0.0);
  for (std::int64_t i = 0; i < m; ++i)
    for (std::int64_t p = 0; p < k; ++p)
      for (std::int64_t j = 0; j < n; ++j)
        c[static_cast<std::size_t>(i * n + j)] += a[static_cast<std::size_t>(i * k + p)] * b[static_cast<std::size_t>(p * n + j)];
  return c;
}

/// In norm: f32 sums of k terms err by a few f32 roundings (they are added in lanes), a bf16 output by one rounding.
double tolerance(DType in, DType out) {
  if (out == DType::bf16) return rounding_of(DType::bf16);
  return 32 * rounding_of(in == DType::f64 ? DType::f64 : DType::f32);
}

using Types = std::pair<DType, DType>;
const Types all_types[] = {{DType::f32, DType::f32}, {DType::bf16, DType::f32}, {DType::bf16, DType::bf16}, {DType::f64, DType::f64}};
struct Size {
  std::int64_t m, n, k;
};
const Size sizes[] = {{1, 1, 1},      {1, 65, 513},   {3, 17, 65},    {2, 600, 33},   {65, 1, 17}, {17, 600, 3},
                      {65, 130, 600}, {513, 65, 129}, {600, 513, 65}, {4, 1100, 520}, {5, 7, 1100}};

TEST(Blas, TileEqualsPlainLoops) {
  std::vector<unsigned char> scratch(1 << 20);
  for (const auto& [in, out] : all_types)
    for (const Size& s : sizes)
      for (int turned = 0; turned < 4; ++turned) {
        const Operand a(in, s.m, s.k, turned & 1, 1), b(in, s.k, s.n, turned & 2, 2);
        TestTensor c(out, Shape{s.m, s.n}, 5);

        gemm_tile(s.m, s.n, s.k, 0.5F, in, a.ref(), b.ref(), out, c.view().data(), s.n + 5, scratch.data(),
                  static_cast<std::int64_t>(scratch.size()));

        Doubles expected = plain_product(a.logical(s.m, s.k), b.logical(s.k, s.n), s.m, s.n, s.k);
        for (double& v : expected) v *= 0.5;
        EXPECT_LT(relative_difference(c.values(), expected), tolerance(in, out))
            << name_of(in) << " " << s.m << "x" << s.n << "x" << s.k << " turned " << turned;
      }
}

TEST(Blas, ProductEqualsPlainLoops) {
  ThreadPool pool(2);
  Stream stream = Stream::cpu(pool);
  for (const auto& [in, out] : all_types)
    for (const Size& s : sizes)
      for (int turned = 0; turned < 4; ++turned) {
        const Operand a(in, s.m, s.k, turned & 1, 3), b(in, s.k, s.n, turned & 2, 4);
        TestTensor c(out, Shape{s.m, s.n}, 5);

        gemm(stream, s.m, s.n, s.k, in, a.ref(), b.ref(), out, c.view().data(), s.n + 5);

        EXPECT_LT(relative_difference(c.values(), plain_product(a.logical(s.m, s.k), b.logical(s.k, s.n), s.m, s.n, s.k)),
                  tolerance(in, out))
            << name_of(in) << " " << s.m << "x" << s.n << "x" << s.k << " turned " << turned;
      }
}

TEST(Blas, EmptySizesWriteNothingAndDepthZeroGivesZeros) {
  ThreadPool pool(2);
  Stream stream = Stream::cpu(pool);
  for (const auto& [in, out] : all_types) {
    TestTensor c(out, Shape{3, 5}, random_values(15, 1));
    const Doubles before = c.values();

    gemm(stream, 0, 5, 4, in, {}, {}, out, c.view().data(), 5);
    gemm(stream, 3, 0, 4, in, {}, {}, out, c.view().data(), 5);
    EXPECT_EQ(c.values(), before);
    gemm(stream, 3, 5, 0, in, {}, {}, out, c.view().data(), 5, Write::add);
    EXPECT_EQ(c.values(), before);
    gemm(stream, 3, 5, 0, in, {}, {}, out, c.view().data(), 5);
    EXPECT_EQ(c.values(), Doubles(15, 0.0));
  }
}

/// Operands of one product, and its bytes for a pool and a kind: plain, added to the output, or with bias and residual.
struct Case {
  Types types;
  Size s;
  Operand a, b;
  TestTensor bias, residual, old;
  Case(const Types& of_types, const Size& size, int turned)
      : types(of_types),
        s(size),
        a(types.first, s.m, s.k, turned & 1, 5),
        b(types.first, s.k, s.n, turned & 2, 6),
        bias(types.first, Shape{s.n}, random_values(s.n, 7)),
        residual(types.second, Shape{s.m, s.n}, random_values(s.m * s.n, 8), 2),
        old(types.second, Shape{s.m, s.n}, random_values(s.m * s.n, 9), 1) {}
  std::vector<unsigned char> bytes(ThreadPool& pool, int kind) const {
    Stream stream = Stream::cpu(pool);
    TestTensor c = old;
    gemm(stream, s.m, s.n, s.k, types.first, a.ref(), b.ref(), types.second, c.view().data(), s.n + 1, kind == 1 ? Write::add : Write::set,
         kind == 2 ? bias.view().data() : nullptr, kind == 2 ? residual.view().data() : nullptr, s.n + 2);
    return c.bytes();
  }
};

TEST(Blas, BitsDoNotDependOnThreads) {
  ThreadPool one(1), two(2), three(3), five(5);
  for (const Types& types : all_types)
    for (const Size& s : {Size{600, 1100, 70}, Size{65, 1300, 130}, Size{1100, 70, 65}, Size{1, 3000, 257}, Size{4, 1025, 130},
                          Size{33, 900, 64}, Size{20, 700, 96}, Size{192, 128, 1500}})
      for (int turned = 0; turned < 4; ++turned) {
        const Case product(types, s, turned);
        for (int kind = 0; kind < 3; ++kind) {
          const auto expected = product.bytes(one, kind);
          for (ThreadPool* pool : {&two, &three, &five})
            EXPECT_TRUE(product.bytes(*pool, kind) == expected) << pool->threads() << " threads, " << name_of(types.first) << " " << s.m
                                                                << "x" << s.n << "x" << s.k << " turned " << turned << " kind " << kind;
        }
      }
}

TEST(Blas, BitsOfATileDoNotDependOnAddressesThreadOrScratch) {
  for (const auto& [in, out] : all_types)
    for (int turned = 0; turned < 4; ++turned) {
      constexpr std::int64_t m = 67, n = 131, k = 259;
      const Operand a(in, m, k, turned & 1, 10, 0), b(in, k, n, turned & 2, 11, 0);
      const auto width = static_cast<std::size_t>(size_of(in)), out_bytes = static_cast<std::size_t>(m * n) * size_of(out);
      const auto product = [&](std::size_t shift, std::int64_t scratch_bytes) {
        std::vector<unsigned char> left(m * k * width + 256), right(k * n * width + 256), c(out_bytes + 256),
            scratch(static_cast<std::size_t>(scratch_bytes) + 64);
        std::memcpy(left.data() + shift * width, a.ref().data, m * k * width),
            std::memcpy(right.data() + shift * width, b.ref().data, k * n * width);
        auto* aligned = reinterpret_cast<unsigned char*>((reinterpret_cast<std::uintptr_t>(scratch.data()) + 63) / 64 * 64);
        unsigned char* to = c.data() + shift * size_of(out);
        gemm_tile(m, n, k, 1.0F, in, {left.data() + shift * width, a.ref().stride, a.transposed},
                  {right.data() + shift * width, b.ref().stride, b.transposed}, out, to, n, aligned, scratch_bytes);
        return std::vector<unsigned char>(to, to + out_bytes);
      };
      const auto first = product(0, 4 << 20);

      for (const std::size_t shift : {1U, 3U, 7U, 8U, 13U})
        EXPECT_TRUE(product(shift, 4 << 20) == first) << name_of(in) << " shift " << shift << " turned " << turned;
      EXPECT_TRUE(product(0, 0) == first) << name_of(in) << " without scratch";
      std::vector<unsigned char> elsewhere;
      std::thread([&] { elsewhere = product(5, 4 << 20); }).join();
      EXPECT_TRUE(elsewhere == first) << name_of(in) << " on another thread";
    }
}

/// The bits of a floating value rounded from `v` to `type`.
double rounded(double v, DType type) {
  if (type == DType::f64) return v;
  if (type == DType::f32) return static_cast<double>(static_cast<float>(v));
  return static_cast<double>(static_cast<float>(BFloat16(static_cast<float>(v))));
}

// Few rows and a depth in whole tiles: the path of generation, on processors with matrix tiles and on others.
TEST(Blas, FewRowsEqualPlainLoops) {
  for (const auto [m, n, k] :
       {Size{1, 16, 32}, {2, 100, 64}, {15, 33, 96}, {16, 1100, 160}, {17, 47, 1024}, {32, 2050, 96}, {33, 40, 64}}) {
    const Operand a(DType::bf16, m, k, false, 31), b(DType::bf16, k, n, true, 32);
    TestTensor c(DType::f32, Shape{m, n}, 5);
    ThreadPool pool(3);
    Stream stream = Stream::cpu(pool);

    gemm(stream, m, n, k, DType::bf16, a.ref(), b.ref(), DType::f32, c.view().data(), n + 5);

    EXPECT_LT(relative_difference(c.values(), plain_product(a.logical(m, k), b.logical(k, n), m, n, k)), tolerance(DType::bf16, DType::f32))
        << m << " x " << n << " x " << k;
  }
}

TEST(Blas, AdditionIsProductThenAddition) {
  ThreadPool pool(2);
  Stream stream = Stream::cpu(pool);
  for (const auto& [in, out] : all_types)
    for (const Size& s : {Size{65, 130, 600}, Size{600, 1100, 33}, Size{1, 600, 65}, Size{3, 700, 129}}) {
      const DType sums = sum_type(in);
      const Operand a(in, s.m, s.k, false, 12), b(in, s.k, s.n, true, 13);
      const TestTensor bias(in, Shape{s.n}, random_values(s.n, 14)), residual(out, Shape{s.m, s.n}, random_values(s.m * s.n, 15));
      TestTensor alone(sums, Shape{s.m, s.n}), added(out, Shape{s.m, s.n}, residual.values()), both(out, Shape{s.m, s.n}),
          in_place(out, Shape{s.m, s.n}, residual.values());

      gemm(stream, s.m, s.n, s.k, in, a.ref(), b.ref(), sums, alone.view().data(), s.n);
      gemm(stream, s.m, s.n, s.k, in, a.ref(), b.ref(), out, added.view().data(), s.n, Write::add);
      gemm(stream, s.m, s.n, s.k, in, a.ref(), b.ref(), out, both.view().data(), s.n, Write::set, bias.view().data(),
           residual.view().data(), s.n);
      gemm(stream, s.m, s.n, s.k, in, a.ref(), b.ref(), out, in_place.view().data(), s.n, Write::set, bias.view().data(),
           in_place.view().data(), s.n);

      const Doubles product = alone.values(), old = residual.values(), biases = bias.values(), got_added = added.values(),
                    got_both = both.values();
      std::int64_t wrong = 0;
      for (std::size_t i = 0; i < product.size(); ++i) {
        wrong += got_added[i] != rounded(rounded(product[i] + old[i], sums), out);
        wrong += got_both[i] != rounded(rounded(rounded(product[i] + biases[i % static_cast<std::size_t>(s.n)], sums) + old[i], sums), out);
      }
      EXPECT_EQ(wrong, 0) << name_of(in) << " to " << name_of(out) << " " << s.m << "x" << s.n << "x" << s.k;
      EXPECT_TRUE(in_place.bytes() == both.bytes());
    }
}

TEST(Blas, PaddingIsLeftAlone) {
  ThreadPool pool(2);
  Stream stream = Stream::cpu(pool);
  for (const auto& [in, out] : all_types) {
    const Operand a(in, 70, 40, false, 16), b(in, 40, 90, false, 17);
    TestTensor c(out, Shape{70, 90}, 6);

    gemm(stream, 70, 90, 40, in, a.ref(), b.ref(), out, c.view().data(), 96);

    const std::size_t width = size_of(out);
    std::int64_t touched = 0;
    for (std::size_t i = 0; i < 70; ++i)
      for (std::size_t byte = (i * 96 + 90) * width; byte < (i + 1) * 96 * width; ++byte) touched += c.bytes()[byte] != 0xff;
    EXPECT_EQ(touched, 0) << name_of(in);
  }
}

TEST(Blas, WrongTypesAreNamed) {
  ThreadPool pool(1);
  Stream stream = Stream::cpu(pool);
  TestTensor c(DType::bf16, Shape{2, 2});
  const Operand a(DType::f32, 2, 2, false, 1);
  try {
    gemm_tile(2, 2, 2, 1.0F, DType::f32, a.ref(), a.ref(), DType::bf16, c.view().data(), 2, nullptr, 0);
    FAIL() << "no error";
  } catch (const InternalError& error) {
    EXPECT_NE(std::string(error.what()).find("a product of f32 into bf16"), std::string::npos) << error.what();
  }
  EXPECT_THROW(gemm(stream, 2, 2, 2, DType::f32, a.ref(), a.ref(), DType::f32, c.view().data(), 2, Write::add, nullptr, c.view().data(), 2),
               InternalError);
}

}  // namespace
}  // namespace strata::test
