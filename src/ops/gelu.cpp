// GELU: checks, cost and dispatch.
#include "strata/ops/gelu.hpp"

#include "ops/check.hpp"
#include "ops/cpu/gelu.hpp"
#include "ops/cuda/table.hpp"

namespace strata {
namespace {

void check(const char* op, const char* what, const ConstView& view, const ConstView& x) {
  expect_shape(op, what, view, x.shape()), expect_type(op, what, view, x.type()), expect_contiguous(op, what, view);
}

void check(const char* op, const ConstView& x) {
  expect_float(op, "x", x), expect_rank(op, "x", x, 2), expect_contiguous(op, "x", x);
}

}  // namespace

void gelu_forward(Stream& stream, ConstView x, Gelu kind, View y) {
  constexpr const char* op = "gelu_forward";
  check(op, x), check(op, "y", y, x);
  // Per element, erf: square, exponential (counted as one), inverse, polynomial of degree 9 (18), three products and a choice.
  // tanh: cube and its factors (5), exponential, inverse, product.
  const double flops = (kind == Gelu::erf ? 25 : 8) * count_of(x.elements());
  const auto timed = stream.record(op, flops, count_of(x.bytes() + y.bytes()), {x.type(), {x.size(0), x.size(1)}});
  if (stream.planning()) return;
  run_op(stream, cpu::gelu_forward, &cuda::OpTable::gelu_forward, x, kind, y);
}

void gelu_backward(Stream& stream, ConstView dy, ConstView x, Gelu kind, View dx) {
  constexpr const char* op = "gelu_backward";
  check(op, x), check(op, "dy", dy, x), check(op, "dx", dx, x);
  const double flops = (kind == Gelu::erf ? 29 : 17) * count_of(x.elements());  // the forward pass's, the slope, the product with dy
  const auto timed = stream.record(op, flops, count_of(dy.bytes() + x.bytes() + dx.bytes()), {x.type(), {x.size(0), x.size(1)}});
  if (stream.planning()) return;
  run_op(stream, cpu::gelu_backward, &cuda::OpTable::gelu_backward, dy, x, kind, dx);
}

}  // namespace strata
