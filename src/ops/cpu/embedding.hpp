#pragma once
// Embedding look-up on the host; shapes and types are checked by the front (ops/embedding.cpp).
#include "strata/device/blas.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cpu {

void embedding_forward(Stream& stream, const ConstView& ids, const ConstView& weight, const View& y);
void embedding_sum_forward(Stream& stream, const ConstView& ids, const ConstView& types, const ConstView& words,
                           const ConstView& types_table, const ConstView& positions, std::int64_t S, const View& y);

/// Bytes of workspace for R rows: the rows in order of id, and where each id begins.
std::int64_t embedding_workspace(std::int64_t R);
void embedding_backward(Stream& stream, const ConstView& dy, const ConstView& ids, const View& dweight, Write write, void* workspace);

}  // namespace strata::cpu
