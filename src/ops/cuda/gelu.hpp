#pragma once
// GELU on the GPU; shapes and types are checked by the front (ops/gelu.cpp).
#include "strata/ops/gelu.hpp"

namespace strata::cuda {

void gelu_forward(Stream& stream, const ConstView& x, Gelu kind, const View& y);
/// The workspace, for the bias alone, is that of linear_backward_bias.
void gelu_backward(Stream& stream, const ConstView& dy, const ConstView& x, Gelu kind, const View& dx, const View& dbias, Write write,
                   void* workspace);

}  // namespace strata::cuda
