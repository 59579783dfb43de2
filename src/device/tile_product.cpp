// Rows of B are the tile's rows as they lie in memory; A, small, is rearranged into pairs, so that nothing large is copied.
#include "device/tile_product.hpp"

#include <algorithm>
#include <cstring>

#include "device/panel_product.hpp"
#include "strata/base/dtype.hpp"

#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>
#define STRATA_TILES __attribute__((target("amx-tile,amx-bf16,avx512f")))
#endif

namespace strata {

#ifdef STRATA_TILES
namespace {

using Index = std::int64_t;
constexpr Index side = 16;  // rows of a tile, and f32 or pairs of bf16 in a row

/// The layout of _tile_loadconfig: rows and bytes per row of the eight tiles.
struct alignas(64) Config {
  std::uint8_t palette = 1, start = 0, reserved[14] = {};
  std::uint16_t bytes_per_row[16] = {};
  std::uint8_t rows[16] = {};
};

/// Tiles 0 to 3: sums [block of B, block of A]; 4 and 5: rows of B; 6 and 7: pairs of A. Blocks of B have `rows` rows, blocks of A `width`.
STRATA_TILES void configure(Index rows, Index width) {
  Config config;
  for (int tile = 0; tile < 8; ++tile) {
    config.bytes_per_row[tile] = static_cast<std::uint16_t>(tile == 4 || tile == 5 ? 64 : width * 4);
    config.rows[tile] = static_cast<std::uint8_t>(tile < 6 ? rows : side);
  }
  __asm__ volatile("" : : "r"(&config) : "memory");  // GCC's intrinsic does not tell the compiler that it reads more than 8 bytes
  _tile_loadconfig(&config);
}

/// Rows in a block of A: all of a few, or 16.
Index width_of(Index m) {
  return std::min(m, side);
}

bool has_tiles() {
  static const bool answer = panel_kernel(DType::bf16) != nullptr && panel_kernel(DType::bf16) == amx_bf16_kernel();
  return answer;
}

/// A tile of sums [rows of B, rows of A], turned and stored.
void store(const float* tile, Index rows, Index first, Index m, float* sums, Index columns) {
  for (Index i = first; i < std::min(m, first + side); ++i)
    for (Index j = 0; j < rows; ++j) sums[i * columns + j] = tile[j * side + i - first];
}

/// `blocks` times 16 rows of B, from the first on, with one or two blocks of A.
template <int blocks, int a_blocks>
STRATA_TILES void multiply(const BFloat16* b, Index stride, Index k, const std::uint32_t* a, Index width, float* out) {
  const Index row_bytes = stride * 2, a_block = k / 2 * width;
  _tile_zero(0);
  if (a_blocks > 1) _tile_zero(1);
  if (blocks > 1) _tile_zero(2);
  if (blocks > 1 && a_blocks > 1) _tile_zero(3);
  for (Index at = 0; at < k; at += tile_depth) {
    const std::uint32_t* pairs = a + at / 2 * width;
    _tile_loadd(4, b + at, row_bytes);
    _tile_loadd(6, pairs, width * 4);
    _tile_dpbf16ps(0, 4, 6);
    if (a_blocks > 1) {
      _tile_loadd(7, pairs + a_block, width * 4);
      _tile_dpbf16ps(1, 4, 7);
    }
    if (blocks > 1) {
      _tile_loadd(5, b + side * stride + at, row_bytes);
      _tile_dpbf16ps(2, 5, 6);
      if (a_blocks > 1) _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, out, 64);
  if (a_blocks > 1) _tile_stored(1, out + side * side, 64);
  if (blocks > 1) _tile_stored(2, out + 2 * side * side, 64);
  if (blocks > 1 && a_blocks > 1) _tile_stored(3, out + 3 * side * side, 64);
}

template <int a_blocks>
STRATA_TILES void product(Index m, Index columns, Index k, const BFloat16* b, Index stride, const std::uint32_t* a, float* sums) {
  alignas(64) float out[4 * side * side];
  const Index width = width_of(m);
  const auto put = [&](int block, Index j, Index rows) {
    for (int i = 0; i < a_blocks; ++i) store(out + (2 * block + i) * side * side, rows, i * side, m, sums + j, columns);
  };
  Index j = 0;
  configure(side, width);
  for (; j + 2 * side <= columns; j += 2 * side) {
    multiply<2, a_blocks>(b + j * stride, stride, k, a, width, out);
    put(0, j, side), put(1, j + side, side);
  }
  for (; j + side <= columns; j += side) multiply<1, a_blocks>(b + j * stride, stride, k, a, width, out), put(0, j, side);
  if (j < columns) {
    configure(columns - j, width);
    multiply<1, a_blocks>(b + j * stride, stride, k, a, width, out);
    put(0, j, columns - j);
  }
  _tile_release();
}

}  // namespace

bool fits_tiles(std::int64_t m, std::int64_t k, DType in, const MatrixRef& a, const MatrixRef& b) {
  const Index bytes = tile_rows * tile_columns * 4 + tile_rows * k * 2;
  return m <= tile_rows && k > 0 && k % tile_depth == 0 && in == DType::bf16 && !a.transposed && b.transposed &&
         bytes <= Stream::worker_scratch_bytes && has_tiles();
}

// pairs[block of A][k / 2][row of the block][2], rows beyond m being zero.
void pair_rows(std::int64_t m, std::int64_t k, const MatrixRef& a, void* to) {
  const Index width = width_of(m), pairs = k / 2, blocks = (m + width - 1) / width;
  auto* out = static_cast<std::uint32_t*>(to);
  const auto* rows = static_cast<const unsigned char*>(a.data);
  constexpr Index step = 16;  // pairs of one cache line, taken together
  for (Index block = 0; block < blocks; ++block)
    for (Index first = 0; first < pairs; first += step)
      for (Index i = 0; i < width; ++i) {
        std::uint32_t line[step] = {};
        if (const Index row = block * width + i; row < m) std::memcpy(line, rows + (row * a.stride + first * 2) * 2, sizeof line);
        for (Index p = 0; p < step; ++p) out[(block * pairs + first + p) * width + i] = line[p];
      }
}

void tile_product(std::int64_t m, std::int64_t columns, std::int64_t k, const void* pairs, const MatrixRef& b, float* sums) {
  const auto* rows = static_cast<const BFloat16*>(b.data);
  const auto* a = static_cast<const std::uint32_t*>(pairs);
  if (m <= side)
    product<1>(m, columns, k, rows, b.stride, a, sums);
  else
    product<2>(m, columns, k, rows, b.stride, a, sums);
}

#else

bool fits_tiles(std::int64_t, std::int64_t, DType, const MatrixRef&, const MatrixRef&) {
  return false;
}
void pair_rows(std::int64_t, std::int64_t, const MatrixRef&, void*) {}
void tile_product(std::int64_t, std::int64_t, std::int64_t, const void*, const MatrixRef&, float*) {}

#endif

}  // namespace strata
