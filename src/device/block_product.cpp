// Products of packed blocks: panels that nobody wants, and depths at which the left operand is zero, are left out.
#include "strata/device/block_product.hpp"

#include <algorithm>
#include <cmath>

#include "device/panel_product.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace {

using Index = std::int64_t;

/// The panels of an operand.
struct Panels {
  Index width, unit_bytes, unit;

  Panels(const PanelKernel& kernel, BlockOperand::Side side)
      : width(side == BlockOperand::Side::left ? kernel.left_width : kernel.right_width),
        unit_bytes(side == BlockOperand::Side::left ? kernel.left_bytes : kernel.right_bytes),
        unit(kernel.depth_unit) {}
  Index count(Index outers) const { return (outers + width - 1) / width; }
  Index bytes(Index depth) const { return (depth + unit - 1) / unit * unit_bytes; }
};

/// What the ranges of rows [first, last) span; all of [0, whole) where there are none.
Range hull(const Range* ranges, Index first, Index last, Index whole) {
  if (!ranges) return {0, whole};
  Range all{whole, 0};
  for (Index i = first; i < last; ++i)
    if (ranges[i].first < ranges[i].last) all = {std::min(all.first, ranges[i].first), std::max(all.last, ranges[i].last)};
  return {std::min(all.first, all.last), std::min(all.last, whole)};
}

/// C (=|+=) factor * sums.
template <class Sum>
void scale(const Sum* sums, Index m, Index n, Sum factor, bool add, Sum* c, Index ldc) {
  for (Index i = 0; i < m; ++i, sums += n, c += ldc) {
    if (add) {
#pragma GCC ivdep
      for (Index j = 0; j < n; ++j) c[j] = std::fma(factor, sums[j], c[j]);
    } else {
#pragma GCC ivdep
      for (Index j = 0; j < n; ++j) c[j] = factor * sums[j];
    }
  }
}

}  // namespace

BlockOperand::BlockOperand(Side side, DType type, const MatrixRef& matrix, std::int64_t outers, std::int64_t depth, void* memory)
    : side_(side), type_(type), matrix_(matrix), outers_(outers), depth_(depth), memory_(panel_kernel(type) ? memory : nullptr) {}

std::int64_t BlockOperand::bytes(Side side, DType type, std::int64_t outers, std::int64_t depth) {
  const PanelKernel* kernel = panel_kernel(type);
  if (!kernel) return 0;
  const Panels panels(*kernel, side);
  return panels.count(outers) * panels.bytes(depth);
}

void BlockOperand::pack() const {
  if (!memory_) return;
  const PanelKernel& kernel = *panel_kernel(type_);
  const Panels panels(kernel, side_);
  const bool left = side_ == Side::left;
  auto* to = static_cast<unsigned char*>(memory_);
  for (Index first = 0; first < outers_; first += panels.width, to += panels.bytes(depth_)) {
    const MatrixRef from = left ? part(matrix_, type_, first, 0) : part(matrix_, type_, 0, first);
    const PanelOperand operand{from.data, from.stride, left ? !from.transposed : from.transposed};
    (left ? kernel.pack_left : kernel.pack_right)(operand, std::min(panels.width, outers_ - first), depth_, to);
  }
}

void multiply_blocks(const BlockOperand& a, const BlockOperand& b, const BlockWork& work, void* c, std::int64_t ldc, void* scratch,
                     std::int64_t scratch_bytes) {
  const Index m = a.outers_, n = work.n, k = a.depth_;
  const bool add = work.write == Write::add, f64 = a.type_ == DType::f64;
  STRATA_ASSERT(a.type_ == b.type_ && n <= b.outers_ && k <= b.depth_, "a product of blocks of other sizes");
  if (!a.memory_ || !b.memory_) {
    const DType type = f64 ? DType::f64 : DType::f32;
    const bool direct = !add && work.factor == 1;
    const Index taken = direct ? 0 : (m * n * static_cast<Index>(size_of(type)) + 63) / 64 * 64;
    STRATA_ASSERT(taken <= scratch_bytes, "a product of blocks: ", taken, " bytes of sums");
    gemm_tile(m, n, k, 1.0F, a.type_, a.matrix_, b.matrix_, type, direct ? c : scratch, direct ? ldc : n,
              static_cast<unsigned char*>(scratch) + taken, scratch_bytes - taken);
    if (!direct && f64)
      scale(static_cast<const double*>(scratch), m, n, work.factor, add, static_cast<double*>(c), ldc);
    else if (!direct)
      scale(static_cast<const float*>(scratch), m, n, static_cast<float>(work.factor), add, static_cast<float*>(c), ldc);
    return;
  }
  const PanelKernel& kernel = *panel_kernel(a.type_);
  const Panels left(kernel, BlockOperand::Side::left), right(kernel, BlockOperand::Side::right);
  STRATA_ASSERT(most_panel_rows * sums_stride * 4 <= scratch_bytes, "a product of blocks: no scratch");
  auto* sums = static_cast<float*>(scratch);
  const auto* packed_a = static_cast<const unsigned char*>(a.memory_);
  const auto* packed_b = static_cast<const unsigned char*>(b.memory_);
  kernel.begin();
  for (Index i = 0; i * left.width < m; ++i, packed_a += left.bytes(a.depth_)) {
    const Index row = i * left.width, rows = std::min(left.width, m - row);
    const Range columns = hull(work.columns, row, row + rows, n), wanted = hull(work.depths, row, row + rows, k);
    const Index first = wanted.first / left.unit * left.unit, depth = wanted.last - first;  // panels begin at whole units
    for (Index j = columns.first / right.width; j * right.width < columns.last; ++j) {
      const unsigned char* panel = packed_b + j * right.bytes(b.depth_) + right.bytes(first);
      kernel.multiply(packed_a + left.bytes(first), panel, depth, sums, false, rows, {});
      const Index column = j * right.width;
      avx512_scale(sums, rows, std::min(right.width, n - column), static_cast<float>(work.factor), add,
                   static_cast<float*>(c) + row * ldc + column, ldc);
    }
  }
  kernel.end();
}

}  // namespace strata
