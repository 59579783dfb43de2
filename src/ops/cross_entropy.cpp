// The head with its loss: checks, cost and dispatch.
#include "strata/ops/cross_entropy.hpp"

#include "ops/check.hpp"
#include "ops/cpu/cross_entropy.hpp"
#include "ops/cuda/table.hpp"

namespace strata {
namespace {

void check(const char* op, const ConstView& x, const ConstView& weight, const ConstView& labels, const View& row_loss) {
  const std::int64_t R = x.size(0), H = x.size(1), V = weight.size(0);
  expect_float(op, "x", x);
  expect_shape(op, "x", x, Shape{R, H});
  expect_shape(op, "weight", weight, Shape{V, H}), expect_type(op, "weight", weight, x.type());
  expect_shape(op, "labels", labels, Shape{R}), expect_type(op, "labels", labels, DType::i32);
  expect_shape(op, "row_loss", row_loss, Shape{R}), expect_type(op, "row_loss", row_loss, DType::f64);
  STRATA_ASSERT(V >= 1, op, ": an empty vocabulary");
}

std::int64_t workspace_bytes(const Stream& stream, const ConstView& x, const ConstView& weight) {
  const std::int64_t R = x.size(0), V = weight.size(0);
  return stream.target() == DeviceKind::cuda ? cuda::cross_entropy_workspace(R, V, x.type()) : cpu::cross_entropy_workspace(R, V, x.type());
}

// Rows, width, vocabulary.
OpSizes sizes_of(const ConstView& x, const ConstView& weight) {
  return {x.type(), {x.size(0), x.size(1), weight.size(0)}};
}

}  // namespace

void linear_cross_entropy_forward(Stream& stream, ConstView x, ConstView weight, ConstView labels, View row_loss) {
  constexpr const char* op = "linear_cross_entropy_forward";
  check(op, x, weight, labels, row_loss);
  const auto R = count_of(x.size(0)), H = count_of(x.size(1)), V = count_of(weight.size(0));
  // Per logit: the product, then compare, subtract, exponential (counted as one) and sum.
  const auto timed = stream.record(op, 2 * R * V * H + 4 * R * V, count_of(x.bytes() + weight.bytes() + labels.bytes() + row_loss.bytes()),
                                   sizes_of(x, weight));
  void* workspace = stream.workspace(workspace_bytes(stream, x, weight));
  if (stream.planning()) return;
  run_op(stream, cpu::linear_cross_entropy_forward, &cuda::OpTable::linear_cross_entropy_forward, x, weight, labels, row_loss, workspace);
}

void linear_cross_entropy_backward(Stream& stream, ConstView x, ConstView weight, ConstView labels, Factor scale, View row_loss, View dx,
                                   View dweight, Write write) {
  constexpr const char* op = "linear_cross_entropy_backward";
  check(op, x, weight, labels, row_loss);
  expect_shape(op, "dx", dx, x.shape()), expect_type(op, "dx", dx, x.type());
  expect_shape(op, "dweight", dweight, weight.shape()), expect_type(op, "dweight", dweight, cpu::sum_type(x.type()));
  const auto R = count_of(x.size(0)), H = count_of(x.size(1)), V = count_of(weight.size(0));
  // Per logit: three products, then compare, subtract, exponential (counted as one), sum and scaling.
  const auto timed = stream.record(op, 6 * R * V * H + 5 * R * V,
                                   count_of(x.bytes() + 2 * weight.bytes() + labels.bytes() + row_loss.bytes() + dx.bytes() +
                                            dweight.bytes() * (write == Write::add ? 2 : 1)),
                                   sizes_of(x, weight));
  void* workspace = stream.workspace(workspace_bytes(stream, x, weight));
  if (stream.planning()) return;
  run_op(stream, cpu::linear_cross_entropy_backward, &cuda::OpTable::linear_cross_entropy_backward, x, weight, labels, scale, row_loss, dx,
         dweight, write, workspace);
}

}  // namespace strata
