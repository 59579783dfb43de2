#pragma once
// Dropout on the host; shapes and types are checked by the front (ops/dropout.cpp).
#include "strata/ops/dropout.hpp"

namespace strata::cpu {

void dropout(Stream& stream, const ConstView& x, const Dropout& what, const View& y);

}  // namespace strata::cpu
