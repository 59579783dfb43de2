#pragma once
// GELU on the GPU; shapes and types are checked by the front (ops/gelu.cpp).
#include "strata/ops/gelu.hpp"

namespace strata::cuda {

void gelu_forward(Stream& stream, const ConstView& x, Gelu kind, const View& y);
void gelu_backward(Stream& stream, const ConstView& dy, const ConstView& x, Gelu kind, const View& dx);

}  // namespace strata::cuda
