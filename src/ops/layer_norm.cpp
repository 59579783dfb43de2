// Layer normalisation: checks, cost and dispatch.
#include "strata/ops/layer_norm.hpp"

#include "ops/cpu/layer_norm.hpp"
#include "ops/cuda/table.hpp"
#include "ops/dropout_check.hpp"

namespace strata {
namespace {

void check_rows(const char* op, const char* what, const ConstView& view, const ConstView& x) {
  expect_shape(op, what, view, x.shape()), expect_type(op, what, view, x.type()), expect_contiguous(op, what, view);
}

void check_vector(const char* op, const char* what, const ConstView& view, std::int64_t size, DType type) {
  expect_shape(op, what, view, Shape{size}), expect_type(op, what, view, type), expect_contiguous(op, what, view);
}

void check_input(const char* op, const char* what, const ConstView& x) {
  expect_float(op, what, x), expect_rank(op, what, x, 2), expect_contiguous(op, what, x);
}

void check_statistics(const char* op, const ConstView& x, const ConstView& mean, const ConstView& rstd) {
  check_vector(op, "mean", mean, x.size(0), cpu::sum_type(x.type())), check_vector(op, "rstd", rstd, x.size(0), cpu::sum_type(x.type()));
}

// Bytes of what is given of the statistics.
double statistics_bytes(const ConstView& mean, const ConstView& rstd) {
  return mean.given() ? count_of(mean.bytes() + rstd.bytes()) : 0.0;
}

// Per element: sum, difference, square and its sum, two products and a sum; per row: two means, eps, root, inverse.
double forward_flops(const ConstView& x) {
  return 7 * count_of(x.elements()) + 5 * count_of(x.size(0));
}
// Per element: xhat (2), g, two sums of two terms (3), the combination (4), dy xhat and two sums.
double backward_flops(const ConstView& x) {
  return 13 * count_of(x.elements());
}

void forward(Stream& stream, const char* op, const LayerNormForward& p, double bytes) {
  const double adds = p.residual.given() ? (p.what.drops() ? 2 : 1) * count_of(p.x.elements()) : 0.0;
  const auto timed = stream.record(op, forward_flops(p.x) + adds, bytes, {p.x.type(), {p.x.size(0), p.x.size(1)}});
  if (!stream.planning()) run_op(stream, cpu::layer_norm_forward, &cuda::OpTable::layer_norm_forward, p);
}

void backward(Stream& stream, const char* op, const LayerNormBackward& p) {
  const bool sums = p.dx_sums.given();
  const double extra = ((p.dx.given() ? 1 : 0) + (sums ? 1 : 0)) * count_of(p.x.elements());
  const std::int64_t gradients = p.dweight.bytes() + p.dbias.bytes() + (sums ? p.dx_sums.bytes() : 0);
  const double bytes = count_of(p.dy.bytes() + p.x.bytes() + p.dsum.bytes() + (p.dx.given() ? p.dx.bytes() : 0) + p.weight.bytes() +
                                gradients * (p.write == Write::add ? 2 : 1)) +
                       statistics_bytes(p.mean, p.rstd);
  const auto timed = stream.record(op, backward_flops(p.x) + extra, bytes, {p.x.type(), {p.x.size(0), p.x.size(1)}});
  const auto workspace_of = stream.target() == DeviceKind::cuda ? cuda::layer_norm_workspace : cpu::layer_norm_workspace;
  void* workspace = stream.workspace(workspace_of(p.x.size(0), p.x.size(1), p.x.type(), sums));
  if (!stream.planning()) run_op(stream, cpu::layer_norm_backward, &cuda::OpTable::layer_norm_backward, p, workspace);
}

void check_backward(const char* op, const LayerNormBackward& p) {
  const std::int64_t H = p.x.size(1);
  check_rows(op, "dy", p.dy, p.x), check_statistics(op, p.x, p.mean, p.rstd);
  check_vector(op, "weight", p.weight, H, p.x.type());
  check_vector(op, "dweight", p.dweight, H, cpu::sum_type(p.x.type())), check_vector(op, "dbias", p.dbias, H, cpu::sum_type(p.x.type()));
}

}  // namespace

void layer_norm_forward(Stream& stream, ConstView x, ConstView weight, ConstView bias, double eps, View y, View mean, View rstd) {
  constexpr const char* op = "layer_norm_forward";
  check_input(op, "x", x), check_rows(op, "y", y, x);
  check_vector(op, "weight", weight, x.size(1), x.type()), check_vector(op, "bias", bias, x.size(1), x.type());
  if (mean.given() || rstd.given()) check_statistics(op, x, mean, rstd);
  forward(stream, op, {x, {}, {}, weight, bias, eps, {}, y, mean, rstd},
          count_of(x.bytes() + y.bytes() + 2 * weight.bytes()) + statistics_bytes(mean, rstd));
}

void add_layer_norm_forward(Stream& stream, ConstView x, ConstView residual, const Dropout& what, ConstView weight, ConstView bias,
                            double eps, View sum, View y, View mean, View rstd) {
  constexpr const char* op = "add_layer_norm_forward";
  check_input(op, "x", x), check_rows(op, "residual", residual, x), check_rows(op, "sum", sum, x), check_rows(op, "y", y, x);
  check_vector(op, "weight", weight, x.size(1), x.type()), check_vector(op, "bias", bias, x.size(1), x.type());
  if (mean.given() || rstd.given()) check_statistics(op, x, mean, rstd);
  expect_dropout(op, what, x.size(0), x.size(1), 1);
  forward(stream, what.drops() ? "add_layer_norm_forward_dropout" : op, {x, residual, what, weight, bias, eps, sum, y, mean, rstd},
          count_of(4 * x.bytes() + 2 * weight.bytes()) + statistics_bytes(mean, rstd));
}

void layer_norm_backward(Stream& stream, ConstView dy, ConstView x, ConstView weight, ConstView mean, ConstView rstd, View dx, View dweight,
                         View dbias, Write write) {
  constexpr const char* op = "layer_norm_backward";
  const LayerNormBackward pass{dy, x, {}, weight, mean, rstd, dx, {}, dweight, dbias, {}, write};
  check_input(op, "x", x), check_rows(op, "dx", dx, x), check_backward(op, pass);
  backward(stream, op, pass);
}

void add_layer_norm_backward(Stream& stream, ConstView dy, ConstView sum, const Dropout& what, ConstView weight, ConstView mean,
                             ConstView rstd, View dsum, View dx, View dweight, View dbias, View dx_sums, Write write) {
  constexpr const char* op = "add_layer_norm_backward";
  const LayerNormBackward pass{dy, sum, what, weight, mean, rstd, dsum, dx, dweight, dbias, dx_sums, write};
  check_input(op, "sum", sum), check_rows(op, "dsum", dsum, sum), check_backward(op, pass),
      expect_dropout(op, what, sum.size(0), sum.size(1), 1);
  STRATA_ASSERT(dx.given() == what.drops(), op, ": dx is ", dx.given() ? "" : "not ", "given with a dropout of ", what.p);
  if (dx.given()) check_rows(op, "dx", dx, sum);
  if (dx_sums.given()) check_vector(op, "dx_sums", dx_sums, sum.size(1), cpu::sum_type(sum.type()));
  backward(stream, what.drops() ? "add_layer_norm_backward_dropout" : op, pass);
}

}  // namespace strata
