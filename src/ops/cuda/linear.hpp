#pragma once
// What a linear map needs on the GPU beside products; shapes and types are checked by the front (ops/linear.cpp).
#include "ops/cpu/element.hpp"
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cuda {

/// How the sum over rows is cut, from the shape alone: chunks of 32 packs of columns, and blocks of rows so that there are about 528
/// pieces, four for each multiprocessor of an H200.
struct RowSumCut {
  std::int64_t chunks, block_rows, blocks;
};
inline RowSumCut row_sum_cut(std::int64_t rows, std::int64_t columns, DType type) {
  const std::int64_t width = 32 * 16 / static_cast<std::int64_t>(size_of(type)), chunks = (columns + width - 1) / width;
  const std::int64_t wanted = chunks < 528 && chunks > 0 ? 528 / chunks : 1;
  const std::int64_t block_rows = ((rows + wanted - 1) / wanted + 31) / 32 * 32;
  return {chunks, block_rows, block_rows == 0 ? 0 : (rows + block_rows - 1) / block_rows};
}

/// Bytes of workspace of linear_backward_bias: the sums of each block of rows.
inline std::int64_t linear_backward_workspace(std::int64_t rows, std::int64_t columns, DType type) {
  return row_sum_cut(rows, columns, type).blocks * columns * static_cast<std::int64_t>(size_of(cpu::sum_type(type)));
}
void linear_backward_bias(Stream& stream, const ConstView& dy, const View& dbias, Write write, void* workspace);

}  // namespace strata::cuda
