// RMS normalisation: checks, cost and dispatch.
#include "strata/ops/rms_norm.hpp"

#include "ops/check.hpp"
#include "ops/cpu/rms_norm.hpp"
#include "ops/cuda/table.hpp"

namespace strata {
namespace {

/// The shape of rstd: that of x without its last dimension.
Shape row_shape(const ConstView& x) {
  return x.rank() == 2 ? Shape{x.size(0)} : Shape{x.size(0), x.size(1)};
}

void check(const char* op, const ConstView& x, const ConstView& weight, const ConstView& rstd) {
  expect_float(op, "x", x);
  STRATA_ASSERT(x.rank() == 2 || x.rank() == 3, op, ": x has shape ", x.shape().str(), ", expected [R,H] or [R,n,H]");
  expect_shape(op, "weight", weight, Shape{x.shape().back()}), expect_type(op, "weight", weight, x.type());
  if (!rstd.given()) return;
  expect_shape(op, "rstd", rstd, row_shape(x)), expect_type(op, "rstd", rstd, cpu::sum_type(x.type()));
  expect_contiguous(op, "rstd", rstd);
}

// Rows and their width.
OpSizes sizes_of(const ConstView& x) {
  return {x.type(), {x.shape().rows(), x.shape().back()}};
}

}  // namespace

void rms_norm_forward(Stream& stream, ConstView x, ConstView weight, double eps, View y, View rstd) {
  constexpr const char* op = "rms_norm_forward";
  check(op, x, weight, rstd);
  expect_shape(op, "y", y, x.shape()), expect_type(op, "y", y, x.type());
  // Per element: square, sum, two products; per row: mean, eps, root, inverse.
  const auto timed = stream.record(op, 4 * count_of(x.elements()) + 4 * count_of(x.shape().rows()),
                                   count_of(x.bytes() + weight.bytes() + y.bytes() + (rstd.given() ? rstd.bytes() : 0)), sizes_of(x));
  if (stream.planning()) return;
  run_op(stream, cpu::rms_norm_forward, &cuda::OpTable::rms_norm_forward, x, weight, eps, y, rstd);
}

void rms_norm_backward(Stream& stream, ConstView dy, ConstView x, ConstView weight, ConstView rstd, View dx, Write write_dx, View dweight,
                       Write write_dweight) {
  constexpr const char* op = "rms_norm_backward";
  STRATA_ASSERT(rstd.given(), op, ": rstd is not given");
  check(op, x, weight, rstd);
  expect_shape(op, "dy", dy, x.shape()), expect_type(op, "dy", dy, x.type());
  expect_shape(op, "dx", dx, x.shape()), expect_type(op, "dx", dx, x.type());
  expect_shape(op, "dweight", dweight, weight.shape()), expect_type(op, "dweight", dweight, cpu::sum_type(x.type()));
  const bool adds = write_dx == Write::add, adds_weight = write_dweight == Write::add;
  // Per element: g, xhat, g xhat and its sum; xhat mean, difference, rstd; dy xhat and its sum.
  const auto timed = stream.record(op, (9 + (adds ? 1 : 0)) * count_of(x.elements()),
                                   count_of(dy.bytes() + x.bytes() + weight.bytes() + rstd.bytes() + dx.bytes() * (adds ? 2 : 1) +
                                            dweight.bytes() * (adds_weight ? 2 : 1)),
                                   sizes_of(x));
  const auto workspace_of = stream.target() == DeviceKind::cuda ? cuda::rms_norm_workspace : cpu::rms_norm_workspace;
  void* workspace = stream.workspace(workspace_of(x.shape().rows(), x.shape().back(), x.type()));
  if (stream.planning()) return;
  run_op(stream, cpu::rms_norm_backward, &cuda::OpTable::rms_norm_backward, dy, x, weight, rstd, dx, write_dx, dweight, write_dweight,
         workspace);
}

}  // namespace strata
