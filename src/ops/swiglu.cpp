// SwiGLU: checks, cost and dispatch.
#include "strata/ops/swiglu.hpp"

#include "ops/check.hpp"
#include "ops/cpu/swiglu.hpp"
#include "ops/cuda/table.hpp"

namespace strata {

void swiglu_forward(Stream& stream, ConstView gate_up, View y) {
  constexpr const char* op = "swiglu_forward";
  expect_float(op, "y", y), expect_rank(op, "y", y, 2);
  expect_shape(op, "gate_up", gate_up, Shape{y.size(0), 2 * y.size(1)}), expect_type(op, "gate_up", gate_up, y.type());
  // Per element: exponential (counted as one), sum, quotient, sign, product.
  const auto timed =
      stream.record(op, 5 * count_of(y.elements()), count_of(gate_up.bytes() + y.bytes()), {y.type(), {y.size(0), y.size(1)}});
  if (stream.planning()) return;
  run_op(stream, cpu::swiglu_forward, &cuda::OpTable::swiglu_forward, gate_up, y);
}

void swiglu_backward(Stream& stream, ConstView dy, ConstView gate_up, View dgate_up) {
  constexpr const char* op = "swiglu_backward";
  expect_float(op, "dy", dy), expect_rank(op, "dy", dy, 2);
  expect_shape(op, "gate_up", gate_up, Shape{dy.size(0), 2 * dy.size(1)}), expect_type(op, "gate_up", gate_up, dy.type());
  expect_shape(op, "dgate_up", dgate_up, gate_up.shape()), expect_type(op, "dgate_up", dgate_up, dy.type());
  // Per element: s in four operations, dg in six, du in two.
  const auto timed = stream.record(op, 12 * count_of(dy.elements()), count_of(dy.bytes() + gate_up.bytes() + dgate_up.bytes()),
                                   {dy.type(), {dy.size(0), dy.size(1)}});
  if (stream.planning()) return;
  run_op(stream, cpu::swiglu_backward, &cuda::OpTable::swiglu_backward, dy, gate_up, dgate_up);
}

}  // namespace strata
