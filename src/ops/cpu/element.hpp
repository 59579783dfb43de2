#pragma once
// Element types of kernels: the type in which sums are formed, and the step from DType to a C++ type.
#include <cstdint>
#include <type_traits>

#include "strata/base/dtype.hpp"
#include "strata/base/error.hpp"

namespace strata::cpu {

/// float for float and BFloat16, double for double.
template <class T>
using SumOf = std::conditional_t<std::is_same_v<T, double>, double, float>;

/// The type in which gradients of parameters and statistics are kept for tensors of `type`: f32, or f64 for f64.
inline DType sum_type(DType type) {
  return type == DType::f64 ? DType::f64 : DType::f32;
}

/// Calls f(T{}) with T = float, BFloat16 or double. Throws InternalError for another type.
template <class F>
void with_float_type(const char* op, DType type, F&& f) {
  switch (type) {
    case DType::f32:
      return f(float{});
    case DType::bf16:
      return f(BFloat16{});
    case DType::f64:
      return f(double{});
    default:
      throw InternalError(text(op, ": works on f32, bf16 and f64, found ", name_of(type)));
  }
}

}  // namespace strata::cpu
