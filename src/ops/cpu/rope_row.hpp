#pragma once
// Rotary embedding of one head on the host, as the ops that hold it share it.
#include <cstdint>

namespace strata::cpu {

/// One head of 2 half elements, pairs (i, i + half). sign = 1 turns forward, -1 back; y may be x.
template <class T, class Sum>
void rope_row(const T* x, const Sum* cos, const Sum* sin, std::int64_t half, Sum sign, T* y) {
#pragma GCC ivdep
  for (std::int64_t i = 0; i < half; ++i) {
    const Sum a = static_cast<Sum>(x[i]), b = static_cast<Sum>(x[i + half]), s = sign * sin[i];
    y[i] = static_cast<T>(a * cos[i] - b * s);
    y[i + half] = static_cast<T>(b * cos[i] + a * s);
  }
}

}  // namespace strata::cpu
