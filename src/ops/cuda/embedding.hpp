#pragma once
// Embedding look-up on the GPU; shapes and types are checked by the front (ops/embedding.cpp). Rows whose id lies outside the table are
// left out: the loader has checked them.
#include "strata/device/blas.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cuda {

void embedding_forward(Stream& stream, const ConstView& ids, const ConstView& weight, const View& y);
void embedding_sum_forward(Stream& stream, const ConstView& ids, const ConstView& types, const ConstView& words,
                           const ConstView& types_table, const ConstView& positions, std::int64_t S, const View& y);

/// Bytes of workspace for a table of V rows: how often each id occurs, and where first.
inline std::int64_t embedding_workspace(std::int64_t V) {
  return 2 * V * 4;
}
void embedding_backward(Stream& stream, const ConstView& dy, const ConstView& ids, const View& dweight, Write write, void* workspace);

}  // namespace strata::cuda
