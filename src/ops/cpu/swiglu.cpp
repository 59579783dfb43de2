// SwiGLU on the host: rows in fixed blocks, one vector loop per row.
#include "ops/cpu/swiglu.hpp"

#include <algorithm>

#include "ops/cpu/element.hpp"
#include "ops/cpu/vector_math.hpp"

namespace strata::cpu {
namespace {

using Index = std::int64_t;

constexpr Index block_elements = 16384;

Index rows_per_task(Index F) {
  return std::max<Index>(1, block_elements / std::max<Index>(1, F));
}

template <class T>
void forward_row(const T* gate, const T* up, Index F, T* y) {
  using Sum = SumOf<T>;
#pragma GCC ivdep
  for (Index j = 0; j < F; ++j) {
    const Sum g = static_cast<Sum>(gate[j]);
    y[j] = static_cast<T>(g / (Sum{1} + exp_of(-g)) * static_cast<Sum>(up[j]));
  }
}

/// dgate and dup may be gate and up: each element is read before it is written.
template <class T>
void backward_row(const T* dy, const T* gate, const T* up, Index F, T* dgate, T* dup) {
  using Sum = SumOf<T>;
#pragma GCC ivdep
  for (Index j = 0; j < F; ++j) {
    const Sum g = static_cast<Sum>(gate[j]), u = static_cast<Sum>(up[j]), d = static_cast<Sum>(dy[j]);
    const Sum s = Sum{1} / (Sum{1} + exp_of(-g));
    dgate[j] = static_cast<T>(d * u * s * (Sum{1} + g * (Sum{1} - s)));
    dup[j] = static_cast<T>(d * g * s);
  }
}

}  // namespace

void swiglu_forward(Stream& stream, const ConstView& gate_up, const View& y) {
  const Index R = y.size(0), F = y.size(1), block = rows_per_task(F);
  with_float_type("swiglu_forward", y.type(), [&](auto element) {
    using T = decltype(element);
    stream.pool().run((R + block - 1) / block, [&](Index task, int) {
      for (Index r = task * block; r < std::min(R, (task + 1) * block); ++r) {
        const T* row = gate_up.as<const T>() + r * gate_up.stride(0);
        forward_row(row, row + F, F, y.as<T>() + r * y.stride(0));
      }
    });
  });
}

void swiglu_backward(Stream& stream, const ConstView& dy, const ConstView& gate_up, const View& dgate_up) {
  const Index R = dy.size(0), F = dy.size(1), block = rows_per_task(F);
  with_float_type("swiglu_backward", dy.type(), [&](auto element) {
    using T = decltype(element);
    stream.pool().run((R + block - 1) / block, [&](Index task, int) {
      for (Index r = task * block; r < std::min(R, (task + 1) * block); ++r) {
        const T* row = gate_up.as<const T>() + r * gate_up.stride(0);
        T* to = dgate_up.as<T>() + r * dgate_up.stride(0);
        backward_row(dy.as<const T>() + r * dy.stride(0), row, row + F, F, to, to + F);
      }
    });
  });
}

}  // namespace strata::cpu
