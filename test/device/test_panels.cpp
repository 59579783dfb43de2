// The kernels of products, one by one: packing, multiplying, storing, and whole products whose cuts fall everywhere.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "device/panel_product.hpp"
#include "strata/device/block_product.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

std::vector<const PanelKernel*> kernels() {
  std::vector<const PanelKernel*> all;
  for (const PanelKernel* kernel : {amx_bf16_kernel(), avx512_bf16_kernel(), avx512_f32_kernel()})
    if (kernel) all.push_back(kernel);
  return all;
}
#define SKIP_WITHOUT_KERNELS() \
  if (kernels().empty()) GTEST_SKIP() << "this processor has none of the instructions"

/// A stored matrix of small whole numbers, so that every sum is exact in f32 whatever its order.
struct Stored {
  std::int64_t rows, columns, stride;
  DType type;
  std::vector<unsigned char> bytes;

  Stored(DType t, std::int64_t r, std::int64_t c, int salt)
      : rows(r), columns(c), stride(c + 3), type(t), bytes(size_of(t) * static_cast<std::size_t>(r * (c + 3) + 32), 0xFF) {
    for (std::int64_t i = 0; i < r; ++i)
      for (std::int64_t j = 0; j < c; ++j) {
        const float value = at(i, j, salt);
        if (type == DType::f32)
          reinterpret_cast<float*>(bytes.data())[i * stride + j] = value;
        else
          reinterpret_cast<BFloat16*>(bytes.data())[i * stride + j] = BFloat16(value);
      }
    salt_ = salt;
  }
  static float at(std::int64_t i, std::int64_t j, int salt) { return static_cast<float>((i * 31 + j * 17 + salt * 7) % 13 - 6); }
  float value(std::int64_t i, std::int64_t j) const { return at(i, j, salt_); }
  MatrixRef ref(bool transposed) const { return {bytes.data(), stride, transposed}; }

 private:
  int salt_ = 0;
};

float exact(const Stored& a, bool a_turned, const Stored& b, bool b_turned, std::int64_t i, std::int64_t j, std::int64_t k) {
  float sum = 0;
  for (std::int64_t d = 0; d < k; ++d) sum += (a_turned ? a.value(d, i) : a.value(i, d)) * (b_turned ? b.value(j, d) : b.value(d, j));
  return sum;
}

DType type_of(const PanelKernel& kernel) {
  return kernel.element_bytes == 2 ? DType::bf16 : DType::f32;
}

struct Size {
  std::int64_t m, n, k;
};

TEST(Panels, TilesOfAnySizeAreExact) {
  SKIP_WITHOUT_KERNELS();
  for (const PanelKernel* kernel : kernels())
    for (const Size& s : {Size{1, 1, 1}, Size{14, 32, 2}, Size{15, 33, 31}, Size{32, 32, 32}, Size{33, 65, 67}, Size{5, 100, 300}})
      for (int turned = 0; turned < 4; ++turned) {
        const bool at = turned & 1, bt = turned & 2;
        const Stored a(type_of(*kernel), at ? s.k : s.m, at ? s.m : s.k, 1), b(type_of(*kernel), bt ? s.n : s.k, bt ? s.k : s.n, 2);
        std::vector<unsigned char> scratch(static_cast<std::size_t>(panel_tile_scratch(*kernel, s.m, s.n, s.k)), 0xFF);
        std::vector<float> c(static_cast<std::size_t>(s.m * (s.n + 1)), -1.0F);

        panel_tile(*kernel, s.m, s.n, s.k, 0.5F, a.ref(at), b.ref(bt), c.data(), s.n + 1, scratch.data());

        for (std::int64_t i = 0; i < s.m; ++i) {
          for (std::int64_t j = 0; j < s.n; ++j)
            ASSERT_EQ(c[static_cast<std::size_t>(i * (s.n + 1) + j)], 0.5F * exact(a, at, b, bt, i, j, s.k))
                << kernel->name << " " << s.m << "x" << s.n << "x" << s.k << " turned " << turned << " at " << i << ", " << j;
          EXPECT_EQ(c[static_cast<std::size_t>(i * (s.n + 1) + s.n)], -1.0F) << "written beside the tile";
        }
      }
}

using Side = BlockOperand::Side;

/// Memory for a packed operand; null where nothing is packed.
struct Packed {
  std::unique_ptr<unsigned char, void (*)(unsigned char*)> memory;
  Packed(Side side, DType type, std::int64_t outers, std::int64_t depth)
      : memory(static_cast<unsigned char*>(
                   std::aligned_alloc(64, static_cast<std::size_t>((BlockOperand::bytes(side, type, outers, depth) + 63) / 64 * 64))),
               [](unsigned char* p) { std::free(p); }) {}
};

// With a kernel of ours (packed) and without memory (gemm_tile): the same numbers, and B used twice, once for fewer columns.
TEST(Panels, BlocksAreExactPackedOrNot) {
  for (const DType type : {DType::f32, DType::bf16})
    for (const Size& s : {Size{1, 1, 1}, Size{128, 128, 128}, Size{33, 65, 67}, Size{30, 96, 64}})
      for (int turned = 0; turned < 8; ++turned) {
        const bool at = turned & 1, bt = turned & 2, packs = turned & 4;
        const Stored a(type, at ? s.k : s.m, at ? s.m : s.k, 1), b(type, bt ? s.n : s.k, bt ? s.k : s.n, 2);
        const Packed left(Side::left, type, s.m, s.k), right(Side::right, type, s.n, s.k);
        const std::unique_ptr<unsigned char, void (*)(unsigned char*)> rest(static_cast<unsigned char*>(std::aligned_alloc(64, 1 << 20)),
                                                                            [](unsigned char* p) { std::free(p); });
        const BlockOperand first(Side::left, type, a.ref(at), s.m, s.k, packs ? left.memory.get() : nullptr);
        const BlockOperand second(Side::right, type, b.ref(bt), s.n, s.k, packs ? right.memory.get() : nullptr);
        first.pack(), second.pack();
        std::vector<float> c(static_cast<std::size_t>(s.m * (s.n + 1)), -1.0F);
        multiply_blocks(first, second, {.n = s.n, .factor = 0.5}, c.data(), s.n + 1, rest.get(), 1 << 20);
        const std::int64_t fewer = (s.n + 1) / 2;
        multiply_blocks(first, second, {.n = fewer, .write = Write::add}, c.data(), s.n + 1, rest.get(), 1 << 20);

        for (std::int64_t i = 0; i < s.m; ++i)
          for (std::int64_t j = 0; j <= s.n; ++j)
            ASSERT_EQ(c[static_cast<std::size_t>(i * (s.n + 1) + j)],
                      j == s.n ? -1.0F : (j < fewer ? 1.5F : 0.5F) * exact(a, at, b, bt, i, j, s.k))
                << name_of(type) << " " << s.m << "x" << s.n << "x" << s.k << " turned " << turned << " at " << i << ", " << j;
      }
}

// A causal block: columns above the diagonal are not asked for, zeros of the left operand are not multiplied; rows without any.
TEST(Panels, BlocksLeaveOutWhatTheyAreTold) {
  constexpr std::int64_t n = 100, stride = 103;
  for (const DType type : {DType::f32, DType::bf16}) {
    Stored a(type, n, n, 1), b(type, n, n, 2);
    std::vector<Range> ranges;
    for (std::int64_t i = 0; i < n; ++i) ranges.push_back(i < 40 && i >= 20 ? Range{0, 0} : Range{i / 2, i + 1});
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j)
        if (j < ranges[static_cast<std::size_t>(i)].first || j >= ranges[static_cast<std::size_t>(i)].last)
          std::memset(a.bytes.data() + (i * stride + j) * static_cast<std::int64_t>(size_of(type)), 0, size_of(type));
    const Packed left(Side::left, type, n, n), right(Side::right, type, n, n);
    const BlockOperand first(Side::left, type, a.ref(false), n, n, left.memory.get());
    const BlockOperand second(Side::right, type, b.ref(false), n, n, right.memory.get());
    first.pack(), second.pack();
    const std::unique_ptr<void, void (*)(void*)> rest(std::aligned_alloc(64, 1 << 20), std::free);
    std::vector<float> whole(n * n, 3.0F), cut(n * n, 3.0F), asked(n * n, 3.0F);
    multiply_blocks(first, second, {.n = n, .write = Write::add}, whole.data(), n, rest.get(), 1 << 20);
    multiply_blocks(first, second, {.n = n, .depths = ranges.data(), .write = Write::add}, cut.data(), n, rest.get(), 1 << 20);
    multiply_blocks(first, second, {.n = n, .columns = ranges.data(), .write = Write::add}, asked.data(), n, rest.get(), 1 << 20);
    EXPECT_EQ(whole, cut) << name_of(type);
    for (std::size_t i = 0; i < n; ++i)
      for (auto j = static_cast<std::size_t>(ranges[i].first); j < static_cast<std::size_t>(ranges[i].last); ++j)
        EXPECT_EQ(asked[i * n + j], whole[i * n + j]) << i << ", " << j;
    std::fill(cut.begin(), cut.end(), 7.0F);
    multiply_blocks(first, second, {.n = n, .depths = ranges.data()}, cut.data(), n, rest.get(), 1 << 20);
    for (std::size_t j = 0; j < n; ++j) EXPECT_EQ(cut[30 * n + j], 0.0F) << "a row of zeros sets zeros";
  }
}

// Depths beyond one pass, outers beyond a group, edges of every kind; outputs set, added to, rounded.
TEST(Panels, ProductsThatAreCutAreExact) {
  SKIP_WITHOUT_KERNELS();
  ThreadPool pool(2);
  Stream stream = Stream::cpu(pool);
  for (const PanelKernel* kernel : kernels())
    for (const Size& s : {Size{40, 1030, 2050}, Size{1100, 37, 1025}, Size{70, 80, 1500}, Size{33, 4200, 5}})
      for (int turned = 0; turned < 4; ++turned)
        for (const bool adds : {false, true}) {
          const bool at = turned & 1, bt = turned & 2;
          const DType type = type_of(*kernel);
          const Stored a(type, at ? s.k : s.m, at ? s.m : s.k, 3), b(type, bt ? s.n : s.k, bt ? s.k : s.n, 4);
          std::vector<float> c(static_cast<std::size_t>(s.m * s.n), 2.0F);
          const Product product{s.k, type, a.ref(at), b.ref(bt), DType::f32, c.data(), s.n, nullptr, adds ? c.data() : nullptr, s.n};

          panel_product(stream, *kernel, s.m, s.n, product);

          for (std::int64_t i = 0; i < s.m; i += 13)
            for (std::int64_t j = 0; j < s.n; j += 29)
              ASSERT_EQ(c[static_cast<std::size_t>(i * s.n + j)], exact(a, at, b, bt, i, j, s.k) + (adds ? 2.0F : 0.0F))
                  << kernel->name << " " << s.m << "x" << s.n << "x" << s.k << " turned " << turned << " adds " << adds << " at " << i
                  << ", " << j;
        }
}

// A shared operand that does not fit into the scratch: sums wait between passes.
TEST(Panels, DepthsOfSeveralPassesAreExact) {
  SKIP_WITHOUT_KERNELS();
  ThreadPool pool(2);
  Stream stream = Stream::cpu(pool);
  constexpr std::int64_t m = 1000, n = 1010, k = 12800;
  for (const PanelKernel* kernel : kernels()) {
    const DType type = type_of(*kernel);
    ASSERT_GT((m + kernel->left_width - 1) / kernel->left_width * kernel->units(k) * kernel->left_bytes, Stream::product_scratch_bytes);
    const Stored a(type, m, k, 3), b(type, n, k, 4);
    std::vector<float> c(static_cast<std::size_t>(m * n), 2.0F);
    const Product product{k, type, a.ref(false), b.ref(true), DType::f32, c.data(), n, nullptr, nullptr, 0};

    panel_product(stream, *kernel, m, n, product);

    for (std::int64_t i = 0; i < m; i += 111)
      for (std::int64_t j = 0; j < n; j += 112)
        ASSERT_EQ(c[static_cast<std::size_t>(i * n + j)], exact(a, false, b, true, i, j, k)) << kernel->name << " at " << i << ", " << j;
  }
}

TEST(Panels, CuttingTheDepthChangesNoBit) {
  SKIP_WITHOUT_KERNELS();
  for (const PanelKernel* kernel : kernels()) {
    constexpr std::int64_t depth = 320, cut = 192;
    const DType type = type_of(*kernel);
    std::vector<unsigned char> bytes(static_cast<std::size_t>(64 * depth * 4));
    for (std::int64_t i = 0; i < 64 * depth; ++i) {
      const float value = std::sin(static_cast<float>(i) * 0.37F);
      if (type == DType::f32)
        reinterpret_cast<float*>(bytes.data())[i] = value;
      else
        reinterpret_cast<BFloat16*>(bytes.data())[i] = BFloat16(value);
    }
    const unsigned char* second = bytes.data() + 32 * depth * kernel->element_bytes;
    const auto buffer = [](std::int64_t size) {
      return std::unique_ptr<void, void (*)(void*)>(std::aligned_alloc(64, static_cast<std::size_t>(size)), std::free);
    };
    const auto left = buffer(kernel->units(depth) * kernel->left_bytes), right = buffer(kernel->units(depth) * kernel->right_bytes);
    kernel->pack_left({bytes.data(), depth, true}, kernel->left_width, depth, left.get());
    kernel->pack_right({second, depth, true}, kernel->right_width, depth, right.get());
    std::vector<float> whole(most_panel_rows * sums_stride), pieces(whole);
    const auto at = [&](const auto& panel, std::int64_t unit_bytes) {
      return static_cast<unsigned char*>(panel.get()) + kernel->units(cut) * unit_bytes;
    };

    kernel->begin();
    kernel->multiply(left.get(), right.get(), depth, whole.data(), false, kernel->left_width, {});
    kernel->multiply(left.get(), right.get(), cut, pieces.data(), false, kernel->left_width, {});
    kernel->multiply(at(left, kernel->left_bytes), at(right, kernel->right_bytes), depth - cut, pieces.data(), true, kernel->left_width,
                     {});
    kernel->end();

    EXPECT_EQ(std::memcmp(whole.data(), pieces.data(), static_cast<std::size_t>(kernel->left_width * sums_stride) * 4), 0) << kernel->name;
    EXPECT_NE(whole[0], 0.0F);
  }
}

TEST(Panels, RoundingIsThatOfBFloat16) {
  SKIP_WITHOUT_KERNELS();
  std::vector<float> sums(most_panel_rows * sums_stride);
  for (std::size_t i = 0; i < sums.size(); ++i) {
    const std::uint32_t bits = 0x3F7F0000U + static_cast<std::uint32_t>(i) * 0x1111U;  // ties among them
    std::memcpy(&sums[i], &bits, 4);
  }
  sums[5] = std::nanf(""), sums[6] = INFINITY, sums[7] = -INFINITY, sums[8] = 3.4e38F, sums[9] = -0.0F;
  std::vector<std::uint16_t> c(most_panel_rows * 40, 7), old(c.size());
  for (std::size_t i = 0; i < old.size(); ++i) old[i] = BFloat16(static_cast<float>(i % 5)).bits;
  for (const bool adds : {false, true}) {
    avx512_store_rounded(sums.data(), 32, 31, adds ? old.data() : nullptr, 40, c.data(), 40);
    for (std::size_t i = 0; i < 32; ++i) {
      for (std::size_t j = 0; j < 31; ++j) {
        const float sum = sums[i * 32 + j] + (adds ? static_cast<float>(BFloat16::from_bits(old[i * 40 + j])) : 0.0F);
        EXPECT_EQ(c[i * 40 + j], BFloat16(adds ? sum : sums[i * 32 + j]).bits) << i << ", " << j;
      }
      EXPECT_EQ(c[i * 40 + 31], 7) << "written beside the block";
    }
  }
}

}  // namespace
}  // namespace strata::test
