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

void gelu_backward(Stream& stream, ConstView dy, ConstView x, Gelu kind, View dx, View dbias, Write write) {
  constexpr const char* op = "gelu_backward";
  check(op, x), check(op, "dy", dy, x), check(op, "dx", dx, x);
  if (dbias.given())
    expect_shape(op, "dbias", dbias, Shape{x.size(1)}), expect_type(op, "dbias", dbias, cpu::sum_type(x.type())),
        expect_contiguous(op, "dbias", dbias);
  // The forward pass's, the slope, the product with dy; the sum for the bias.
  const double flops = ((kind == Gelu::erf ? 29 : 17) + (dbias.given() ? 1 : 0)) * count_of(x.elements());
  const double sums = dbias.given() ? count_of(dbias.bytes() * (write == Write::add ? 2 : 1)) : 0.0;
  const auto timed = stream.record(op, flops, count_of(dy.bytes() + x.bytes() + dx.bytes()) + sums, {x.type(), {x.size(0), x.size(1)}});
  const bool partial_sums = dbias.given() && stream.target() == DeviceKind::cuda;
  void* workspace = partial_sums ? stream.workspace(cuda::linear_backward_workspace(x.size(0), x.size(1), x.type())) : nullptr;
  if (stream.planning()) return;
  run_op(stream, cpu::gelu_backward, &cuda::OpTable::gelu_backward, dy, x, kind, dx, dbias, write, workspace);
}

}  // namespace strata
