#pragma once
// Linear map on the host; shapes and types are checked by the front (ops/linear.cpp).
#include "strata/device/blas.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cpu {

void linear_forward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& bias, const ConstView& residual,
                    const View& y);
void linear_backward_input(Stream& stream, const ConstView& dy, const ConstView& weight, const View& dx, Write write);
void linear_backward_weight(Stream& stream, const ConstView& dy, const ConstView& x, const View& dweight, const View& dbias, Write write);

}  // namespace strata::cpu
