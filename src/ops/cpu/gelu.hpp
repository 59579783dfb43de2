#pragma once
// GELU on the host; shapes and types are checked by the front (ops/gelu.cpp).
#include "strata/ops/gelu.hpp"

namespace strata::cpu {

void gelu_forward(Stream& stream, const ConstView& x, Gelu kind, const View& y);
/// The sums for the bias need no workspace, null does.
void gelu_backward(Stream& stream, const ConstView& dy, const ConstView& x, Gelu kind, const View& dx, const View& dbias, Write write,
                   void* workspace);

}  // namespace strata::cpu
