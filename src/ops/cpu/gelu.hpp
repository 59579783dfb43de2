#pragma once
// GELU on the host; shapes and types are checked by the front (ops/gelu.cpp).
#include "strata/ops/gelu.hpp"

namespace strata::cpu {

void gelu_forward(Stream& stream, const ConstView& x, Gelu kind, const View& y);
void gelu_backward(Stream& stream, const ConstView& dy, const ConstView& x, Gelu kind, const View& dx);

}  // namespace strata::cpu
