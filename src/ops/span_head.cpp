// The question-answering head: checks, cost and dispatch.
#include "strata/ops/span_head.hpp"

#include "ops/check.hpp"
#include "ops/cpu/span_head.hpp"
#include "ops/cuda/table.hpp"

namespace strata {
namespace {

void check_tokens(const char* op, const ConstView& x, const ConstView& weight, const ConstView& logits) {
  expect_float(op, "x", x), expect_rank(op, "x", x, 2), expect_contiguous(op, "x", x);
  expect_shape(op, "weight", weight, Shape{2, x.size(1)}), expect_type(op, "weight", weight, x.type());
  expect_contiguous(op, "weight", weight);
  expect_rank(op, "logits", logits, 3), expect_type(op, "logits", logits, cpu::sum_type(x.type()));
  expect_shape(op, "logits", logits, Shape{logits.size(0), 2, logits.size(2)}), expect_contiguous(op, "logits", logits);
  STRATA_ASSERT(logits.size(0) * logits.size(2) == x.size(0), op, ": logits ", logits.shape().str(), " for ", x.size(0), " tokens");
}

void check_loss(const char* op, const ConstView& logits, const ConstView& labels, const ConstView& row_loss) {
  expect_rank(op, "logits", logits, 3);
  if (logits.type() != DType::f64) expect_type(op, "logits", logits, DType::f32);
  expect_shape(op, "logits", logits, Shape{logits.size(0), 2, logits.size(2)}), expect_contiguous(op, "logits", logits);
  expect_shape(op, "labels", labels, Shape{logits.size(0), 2}), expect_type(op, "labels", labels, DType::i32);
  expect_shape(op, "row_loss", row_loss, labels.shape()), expect_type(op, "row_loss", row_loss, DType::f64);
  expect_contiguous(op, "labels", labels), expect_contiguous(op, "row_loss", row_loss);
}

// Tokens and width.
OpSizes sizes_of(const ConstView& x) {
  return {x.type(), {x.size(0), x.size(1)}};
}

}  // namespace

void span_logits_forward(Stream& stream, ConstView x, ConstView weight, ConstView bias, View logits) {
  constexpr const char* op = "span_logits_forward";
  check_tokens(op, x, weight, logits);
  expect_shape(op, "bias", bias, Shape{2}), expect_type(op, "bias", bias, x.type());
  const auto timed = stream.record(op, 4 * count_of(x.elements()) + 2 * count_of(x.size(0)),
                                   count_of(x.bytes() + weight.bytes() + bias.bytes() + logits.bytes()), sizes_of(x));
  if (stream.planning()) return;
  run_op(stream, cpu::span_logits_forward, &cuda::OpTable::span_logits_forward, x, weight, bias, logits);
}

void span_logits_backward(Stream& stream, ConstView dlogits, ConstView x, ConstView weight, View dx, View dweight, View dbias) {
  constexpr const char* op = "span_logits_backward";
  check_tokens(op, x, weight, dlogits);
  expect_shape(op, "dx", dx, x.shape()), expect_type(op, "dx", dx, x.type()), expect_contiguous(op, "dx", dx);
  expect_shape(op, "dweight", dweight, weight.shape()), expect_type(op, "dweight", dweight, cpu::sum_type(x.type()));
  expect_shape(op, "dbias", dbias, Shape{2}), expect_type(op, "dbias", dbias, cpu::sum_type(x.type()));
  const auto timed =
      stream.record(op, 7 * count_of(x.elements()) + 2 * count_of(x.size(0)),
                    count_of(dlogits.bytes() + 2 * x.bytes() + weight.bytes() + dweight.bytes() + dbias.bytes()), sizes_of(x));
  void* workspace = stream.workspace(stream.target() == DeviceKind::cuda ? cuda::span_logits_workspace(x.size(0), x.size(1), x.type())
                                                                         : cpu::span_logits_workspace(x.size(0), x.size(1), x.type()));
  if (stream.planning()) return;
  run_op(stream, cpu::span_logits_backward, &cuda::OpTable::span_logits_backward, dlogits, x, weight, dx, dweight, dbias, workspace);
}

void span_cross_entropy_forward(Stream& stream, ConstView logits, ConstView labels, View row_loss) {
  constexpr const char* op = "span_cross_entropy_forward";
  check_loss(op, logits, labels, row_loss);
  // Per logit: compare, subtract, exponential (counted as one) and sum.
  const auto timed = stream.record(op, 4 * count_of(logits.elements()), count_of(logits.bytes() + labels.bytes() + row_loss.bytes()),
                                   {logits.type(), {logits.size(0), logits.size(2)}});
  if (stream.planning()) return;
  run_op(stream, cpu::span_cross_entropy, &cuda::OpTable::span_cross_entropy, logits, labels, Factor(0.0), row_loss, View());
}

void span_cross_entropy_backward(Stream& stream, ConstView logits, ConstView labels, Factor scale, View row_loss, View dlogits) {
  constexpr const char* op = "span_cross_entropy_backward";
  check_loss(op, logits, labels, row_loss);
  expect_shape(op, "dlogits", dlogits, logits.shape()), expect_type(op, "dlogits", dlogits, logits.type());
  expect_contiguous(op, "dlogits", dlogits);
  const auto timed = stream.record(op, 5 * count_of(logits.elements()), count_of(2 * logits.bytes() + labels.bytes() + row_loss.bytes()),
                                   {logits.type(), {logits.size(0), logits.size(2)}});
  if (stream.planning()) return;
  run_op(stream, cpu::span_cross_entropy, &cuda::OpTable::span_cross_entropy, logits, labels, scale, row_loss, dlogits);
}

}  // namespace strata
