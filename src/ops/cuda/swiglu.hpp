#pragma once
// SwiGLU on the GPU; shapes and types are checked by the front (ops/swiglu.cpp).
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cuda {

void swiglu_forward(Stream& stream, const ConstView& gate_up, const View& y);
void swiglu_backward(Stream& stream, const ConstView& dy, const ConstView& gate_up, const View& dgate_up);

}  // namespace strata::cuda
