#pragma once
// Dropout on the GPU; shapes and types are checked by the front (ops/dropout.cpp).
#include "strata/ops/dropout.hpp"

namespace strata::cuda {

void dropout(Stream& stream, const ConstView& x, const Dropout& what, const View& y);

}  // namespace strata::cuda
