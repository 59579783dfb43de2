#pragma once
// Rotary embedding on the GPU; shapes and types are checked by the front (ops/rope.cpp).
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cuda {

/// As cpu::rope_rotate. A position beyond the tables gives NaN.
void rope_rotate(const char* op, Stream& stream, const ConstView& x, const ConstView& cos, const ConstView& sin, const ConstView& positions,
                 bool inverse, const View& y);

}  // namespace strata::cuda
