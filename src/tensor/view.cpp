#include "strata/tensor/view.hpp"

namespace strata {

void expect_shape(const char* op, const char* what, const ConstView& view, const Shape& shape) {
  if (view.shape() == shape) return;
  throw InternalError(text(op, ": ", what, " has shape ", view.shape().str(), ", expected ", shape.str()));
}

void expect_type(const char* op, const char* what, const ConstView& view, DType type) {
  if (view.type() == type) return;
  throw InternalError(text(op, ": ", what, " is ", name_of(view.type()), ", expected ", name_of(type)));
}

}  // namespace strata
