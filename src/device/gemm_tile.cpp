// One tile of a matrix product on the calling thread: our own kernels or oneDNN for f32 and bf16, Eigen for f64.
#define EIGEN_DONT_PARALLELIZE
#include <Eigen/Core>
#include <algorithm>
#include <memory>

#include "device/onednn_matmul.hpp"
#include "device/panel_product.hpp"
#include "strata/base/error.hpp"
#include "strata/device/blas.hpp"

namespace strata {
namespace {

using Index = std::int64_t;

/// Depth of the panels in which bf16 operands become f32 on processors that cannot multiply bf16.
constexpr Index panel_depth = 512;

template <int Order>
using Mapped = Eigen::Map<const Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Order>, Eigen::Unaligned, Eigen::OuterStride<>>;
template <int Order>
Mapped<Order> mapped(const MatrixRef& matrix, Index rows, Index columns) {
  return Mapped<Order>(static_cast<const double*>(matrix.data), rows, columns, Eigen::OuterStride<>(matrix.stride));
}

void tile_f64(Index m, Index n, Index k, double alpha, const MatrixRef& a, const MatrixRef& b, double* c, Index ldc) {
  Eigen::Map<Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>, Eigen::Unaligned, Eigen::OuterStride<>> out(
      c, m, n, Eigen::OuterStride<>(ldc));
  const auto with_b = [&](const auto& left) {
    if (b.transposed)
      out.noalias() = alpha * (left * mapped<Eigen::ColMajor>(b, k, n));
    else
      out.noalias() = alpha * (left * mapped<Eigen::RowMajor>(b, k, n));
  };
  if (a.transposed)
    with_b(mapped<Eigen::ColMajor>(a, m, k));
  else
    with_b(mapped<Eigen::RowMajor>(a, m, k));
}

void zero_tile(Index m, Index n, DType out, void* c, Index ldc) {
  const auto bytes = static_cast<Index>(size_of(out));
  for (Index i = 0; i < m; ++i) std::fill_n(static_cast<unsigned char*>(c) + i * ldc * bytes, n * bytes, static_cast<unsigned char>(0));
}

/// Rows [0, rows) of a stored bf16 matrix as f32, `columns` to a row.
void widen(const BFloat16* from, Index stride, Index rows, Index columns, float* to) {
  for (Index i = 0; i < rows; ++i)
    for (Index j = 0; j < columns; ++j) to[i * columns + j] = static_cast<float>(from[i * stride + j]);
}

/// The part of an operand at depths [first, first + depth), stored as the operand is.
MatrixRef widened_panel(const MatrixRef& matrix, bool depth_is_row, Index first, Index depth, Index width, float* to) {
  const auto* data = static_cast<const BFloat16*>(matrix.data);
  if (depth_is_row) {
    widen(data + first * matrix.stride, matrix.stride, depth, width, to);
    return {to, width, matrix.transposed};
  }
  widen(data + first, matrix.stride, width, depth, to);
  return {to, depth, matrix.transposed};
}

/// bf16 operands, f32 output, through f32 products of panels added in order of depth.
void tile_bf16_by_f32(MatmulKey key, const MatrixRef& a, const MatrixRef& b, float* c, unsigned char* scratch, Index scratch_bytes) {
  const Index depth = std::min(panel_depth, key.k);
  auto* a_panel = reinterpret_cast<float*>(scratch);
  float* b_panel = a_panel + (key.m * depth + 15) / 16 * 16;
  unsigned char* rest = reinterpret_cast<unsigned char*>(b_panel + (key.n * depth + 15) / 16 * 16);
  key.in = DType::f32;
  for (Index first = 0, k = key.k; first < k; first += depth) {
    key.k = std::min(depth, k - first);
    const MatrixRef left = widened_panel(a, a.transposed, first, key.k, key.m, a_panel);
    const MatrixRef right = widened_panel(b, !b.transposed, first, key.k, key.n, b_panel);
    key.lda = left.stride, key.ldb = right.stride, key.accumulate = first > 0;
    onednn_matmul(key, left.data, right.data, c, rest, scratch_bytes - (rest - scratch));
  }
}

/// A buffer of this thread for callers that bring too little; grows in the first step only.
unsigned char* own_buffer(Index bytes) {
  struct Buffer {
    Index bytes = 0;
    std::unique_ptr<unsigned char[]> memory;
  };
  thread_local Buffer buffer;
  if (bytes > buffer.bytes) buffer.memory = std::make_unique<unsigned char[]>(static_cast<std::size_t>(bytes + 64)), buffer.bytes = bytes;
  return reinterpret_cast<unsigned char*>((reinterpret_cast<std::uintptr_t>(buffer.memory.get()) + 63) / 64 * 64);
}

/// What a tile takes in scratch before oneDNN's own needs: the f32 sums of a bf16 output, and packed or widened panels.
struct TileNeeds {
  Index sums = 0, panels = 0;
};
TileNeeds needs_of(Index m, Index n, Index k, DType in, DType out) {
  TileNeeds needs;
  if (out == DType::bf16) needs.sums = (m * n * 4 + 63) / 64 * 64;
  if (const PanelKernel* kernel = panel_kernel(in))
    needs.panels = panel_tile_scratch(*kernel, m, n, k);
  else if (in == DType::bf16 && !onednn_has(Isa::avx512_bf16))
    needs.panels = std::min(panel_depth, k) * (m + n) * 4 + 128;
  return needs;
}

}  // namespace

void gemm_tile(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, DType in, MatrixRef a, MatrixRef b, DType out, void* c,
               std::int64_t ldc, void* scratch, std::int64_t scratch_bytes) {
  if (m <= 0 || n <= 0) return;
  if (k <= 0) return zero_tile(m, n, out, c, ldc);
  if (in == DType::f64) {
    STRATA_ASSERT(out == DType::f64, "a product of f64 into ", name_of(out));
    return tile_f64(m, n, k, static_cast<double>(alpha), a, b, static_cast<double*>(c), ldc);
  }
  STRATA_ASSERT((in == DType::f32 && out == DType::f32) || (in == DType::bf16 && (out == DType::f32 || out == DType::bf16)),
                "a product of ", name_of(in), " into ", name_of(out));
  const TileNeeds needs = needs_of(m, n, k, in, out);
  auto* room = static_cast<unsigned char*>(scratch);
  if (scratch_bytes < needs.sums + needs.panels) room = own_buffer(needs.sums + needs.panels), scratch_bytes = needs.sums + needs.panels;
  unsigned char* rest = room + needs.sums;
  const Index rest_bytes = scratch_bytes - needs.sums;

  const bool rounded = out == DType::bf16;  // rounded once, by our rule, from f32 sums in scratch
  float* sums = rounded ? reinterpret_cast<float*>(room) : static_cast<float*>(c);
  const Index ld_sums = rounded ? n : ldc;
  const MatmulKey key{m, n, k, a.stride, b.stride, ld_sums, alpha, in, DType::f32, a.transposed, b.transposed};
  if (const PanelKernel* kernel = panel_kernel(in))
    panel_tile(*kernel, m, n, k, alpha, a, b, sums, ld_sums, rest);
  else if (needs.panels > 0)
    tile_bf16_by_f32(key, a, b, sums, rest, rest_bytes);
  else
    onednn_matmul(key, a.data, b.data, sums, rest, rest_bytes);
  if (!rounded) return;
  auto* result = static_cast<BFloat16*>(c);
  for (Index i = 0; i < m; ++i)
    for (Index j = 0; j < n; ++j) result[i * ldc + j] = BFloat16(sums[i * n + j]);
}

}  // namespace strata
