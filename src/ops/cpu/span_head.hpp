#pragma once
// The question-answering head on the host; shapes and types are checked by the front (ops/span_head.cpp).
#include "strata/device/stream.hpp"
#include "strata/ops/factor.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cpu {

void span_logits_forward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& bias, const View& logits);
/// Bytes of workspace: the weight's gradient of each block of tokens.
std::int64_t span_logits_workspace(std::int64_t rows, std::int64_t H, DType type);
void span_logits_backward(Stream& stream, const ConstView& dlogits, const ConstView& x, const ConstView& weight, const View& dx,
                          const View& dweight, const View& dbias, void* workspace);
/// The loss, and the gradient where dlogits is given.
void span_cross_entropy(Stream& stream, const ConstView& logits, const ConstView& labels, const Factor& scale, const View& row_loss,
                        const View& dlogits);

}  // namespace strata::cpu
