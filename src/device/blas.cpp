// The way a matrix product takes, and its cutting into tiles for oneDNN.
#include "strata/device/blas.hpp"

#include <algorithm>

#include "device/panel_product.hpp"
#include "device/product.hpp"
#include "device/skinny.hpp"
#include "device/tile_product.hpp"
#include "strata/base/error.hpp"
#include "strata/device/gpu.hpp"

namespace strata {
namespace {

using Index = std::int64_t;

/// Equal pieces of one dimension, a multiple of 64 wide but for the last.
struct Cut {
  Index size = 0, count = 0;
};
Cut cut(Index length, Index wanted) {
  const Index pieces = (length + wanted - 1) / wanted;
  const Index size = std::min(length, ((length + pieces - 1) / pieces + 63) / 64 * 64);
  return {size, (length + size - 1) / size};
}

struct Grid {
  Cut m, n;
  Index tiles() const { return m.count * n.count; }
};

/// Tiles as large as oneDNN likes them (test/bench/bench_gemm.cpp): wide where A is transposed, since the output of a weight gradient is as
/// large as its inputs and is best written by whole rows. Products with few tiles are cut finer, so that threads have work.
Grid grid_of(Index m, Index n, bool a_transposed, bool b_transposed) {
  constexpr Index enough = 8;
  Index columns = a_transposed ? 1024 : b_transposed ? 256 : 512;
  Grid grid{cut(m, 512), cut(n, columns)};
  if (grid.tiles() < enough) grid.m = cut(m, 256);
  while (grid.tiles() < enough && columns > 128) grid.n = cut(n, columns /= 2);
  return grid;
}

void tile(const Product& p, Index row, Index column, Index rows, Index columns, unsigned char* scratch) {
  const MatrixRef a = part(p.a, p.in, row, 0), b = part(p.b, p.in, 0, column);
  // The library's bits depend on how far apart it is to write rows. A^T B is a weight's gradient, which is set or added to another with the
  // same bits, so it always comes by way of the scratch.
  const bool direct = !p.bias && !p.old && p.out != DType::bf16 && !p.a.transposed;
  const DType sums = p.in == DType::f64 ? DType::f64 : DType::f32;
  const Index taken = direct ? 0 : (rows * columns * static_cast<Index>(size_of(sums)) + 63) / 64 * 64;
  void* to = direct ? static_cast<unsigned char*>(p.c) + (row * p.ldc + column) * static_cast<Index>(size_of(p.out)) : scratch;
  gemm_tile(rows, columns, p.k, 1.0F, p.in, a, b, sums, to, direct ? p.ldc : columns, scratch + taken,
            Stream::worker_scratch_bytes - taken);
  if (!direct) finish_block(p, row, column, rows, columns, scratch, columns);
}

/// Columns [column, column + columns) of a product with few rows.
void skinny_tile(const Product& p, Index m, Index column, Index columns, unsigned char* scratch) {
  auto* sums = reinterpret_cast<float*>(scratch);
  skinny_product(m, columns, p.k, p.in, p.a, part(p.b, p.in, 0, column), sums, sums + m * skinny_columns);
  finish_block(p, 0, column, m, columns, sums, columns);
}

}  // namespace

void gemm(Stream& stream, std::int64_t m, std::int64_t n, std::int64_t k, DType in, MatrixRef a, MatrixRef b, DType out, void* c,
          std::int64_t ldc, Write write, const void* bias, const void* residual, std::int64_t ld_residual) {
  if (m <= 0 || n <= 0) return;
  STRATA_ASSERT(write == Write::set || !residual, "a product can be added to a residual or to its output, not to both");
  if (stream.on_gpu())
    return stream.gpu()->gemm(m, n, k, in, a, b, out, c, ldc, write, bias, residual, ld_residual, stream.product_scratch(),
                              Stream::gpu_product_scratch_bytes);
  const Product product{k, in, a, b, out, c, ldc, bias, write == Write::add ? c : residual, write == Write::add ? ldc : ld_residual};
  const auto scratch = [&](int worker) { return static_cast<unsigned char*>(stream.worker_scratch(worker)); };
  if (fits_tiles(m, k, in, a, b)) {
    const Cut columns = cut(n, std::clamp<Index>(n / (4 * stream.pool().threads()), 64, tile_columns));  // a cut changes no sum
    void* const pairs = scratch(0) + tile_rows * tile_columns * 4;
    pair_rows(m, k, a, pairs);
    stream.pool().run(columns.count, [&](Index task, int worker) {
      const Index column = task * columns.size, width = std::min(columns.size, n - column);
      auto* sums = reinterpret_cast<float*>(scratch(worker));
      tile_product(m, width, k, pairs, part(b, in, 0, column), sums);
      finish_block(product, 0, column, m, width, sums, width);
    });
    return;
  }
  if (is_skinny(m, k, in, a, b)) {
    stream.pool().run((n + skinny_columns - 1) / skinny_columns, [&](Index task, int worker) {
      const Index column = task * skinny_columns;
      skinny_tile(product, m, column, std::min(skinny_columns, n - column), scratch(worker));
    });
    return;
  }
  if (const PanelKernel* kernel = panel_kernel(in); kernel && k > 0) return panel_product(stream, *kernel, m, n, product);
  const Grid grid = grid_of(m, n, a.transposed, b.transposed);
  stream.pool().run(grid.tiles(), [&](Index task, int worker) {
    const Index row = task % grid.m.count * grid.m.size, column = task / grid.m.count * grid.n.size;
    tile(product, row, column, std::min(grid.m.size, m - row), std::min(grid.n.size, n - column), scratch(worker));
  });
}

}  // namespace strata
