#pragma once
// What a linear map needs on the host beside products; shapes and types are checked by the front (ops/linear.cpp).
#include "strata/device/blas.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cpu {

/// dbias[N] (=|+=) sum over rows of dy[R,N]. Threads share the columns; they need no workspace, null does.
void linear_backward_bias(Stream& stream, const ConstView& dy, const View& dbias, Write write, void* workspace);

}  // namespace strata::cpu
