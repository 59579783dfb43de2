#pragma once
// What the fronts of ops check beyond shape and type.
#include "ops/cpu/element.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// Throws InternalError unless the type is f32, bf16, f64 or, which GPUs alone compute in, f16.
inline void expect_float(const char* op, const char* what, const ConstView& view) {
  if (view.type() == DType::f32 || view.type() == DType::bf16 || view.type() == DType::f64 || view.type() == DType::f16) return;
  throw InternalError(text(op, ": ", what, " is ", name_of(view.type()), ", expected f32, bf16, f16 or f64"));
}

inline void expect_contiguous(const char* op, const char* what, const ConstView& view) {
  if (view.contiguous()) return;
  throw InternalError(text(op, ": ", what, " of shape ", view.shape().str(), " is strided, expected contiguous memory"));
}

/// Throws InternalError unless the view has this many dimensions.
inline void expect_rank(const char* op, const char* what, const ConstView& view, int rank) {
  if (view.rank() == rank) return;
  throw InternalError(text(op, ": ", what, " has shape ", view.shape().str(), ", expected ", rank, " dimensions"));
}

inline double count_of(std::int64_t n) {
  return static_cast<double>(n);
}

}  // namespace strata
