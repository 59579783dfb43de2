#pragma once
// Rotary embedding on the host; shapes and types are checked by the front (ops/rope.cpp).
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cpu {

/// Rotates by the angle of each row's position, or by its negative where `inverse` is set.
void rope_rotate(const char* op, Stream& stream, const ConstView& x, const ConstView& cos, const ConstView& sin, const ConstView& positions,
                 bool inverse, const View& y);

}  // namespace strata::cpu
