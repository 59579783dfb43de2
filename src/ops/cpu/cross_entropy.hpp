#pragma once
// The head with its loss on the host; shapes and types are checked by the front (ops/cross_entropy.cpp).
#include "strata/device/blas.hpp"
#include "strata/ops/factor.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cpu {

/// Rows whose logits exist at once: about 2^27 logits, a multiple of 64 in 64 .. 1024, decided by V alone.
std::int64_t cross_entropy_chunk(std::int64_t V);
/// Bytes of workspace for R rows.
std::int64_t cross_entropy_workspace(std::int64_t R, std::int64_t V, DType type);

void linear_cross_entropy_forward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& labels,
                                  const View& row_loss, void* workspace);
void linear_cross_entropy_backward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& labels,
                                   const Factor& scale, const View& row_loss, const View& dx, const View& dweight, Write write,
                                   void* workspace);

}  // namespace strata::cpu
