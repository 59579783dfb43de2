// Norm and rotation of queries and keys: checks, cost and dispatch.
#include "strata/ops/qk_norm_rope.hpp"

#include "ops/check.hpp"
#include "ops/cpu/qk_norm_rope.hpp"
#include "ops/cuda/table.hpp"

namespace strata {
namespace {

void check_heads(const char* op, const char* what, const ConstView& x, const ConstView& like) {
  expect_rank(op, what, x, 3), expect_type(op, what, x, like.type());
  expect_shape(op, what, x, Shape{like.size(0), x.size(1), like.size(2)});
}

void check(const char* op, const ConstQueryKey& x, const ConstQueryKey& weight, const ConstQueryKey& rstd, const Rotary& at) {
  expect_float(op, "q", x.q), expect_rank(op, "q", x.q, 3);
  check_heads(op, "k", x.k, x.q);
  const std::int64_t R = x.q.size(0), hd = x.q.size(2);
  STRATA_ASSERT(hd % 2 == 0, op, ": head size ", hd, " is odd");
  const DType wide = cpu::sum_type(x.q.type());
  for (const ConstView& w : {weight.q, weight.k}) expect_shape(op, "weight", w, Shape{hd}), expect_type(op, "weight", w, x.q.type());
  expect_rank(op, "cos", at.cos, 2), expect_shape(op, "cos", at.cos, Shape{at.cos.size(0), hd / 2}), expect_type(op, "cos", at.cos, wide);
  expect_shape(op, "sin", at.sin, at.cos.shape()), expect_type(op, "sin", at.sin, wide);
  expect_shape(op, "positions", at.positions, Shape{R}), expect_type(op, "positions", at.positions, DType::i32);
  STRATA_ASSERT(rstd.q.given() == rstd.k.given(), op, ": rstd is given for one of queries and keys");
  if (!rstd.q.given()) return;
  for (const auto& [kept, heads] : {std::pair{rstd.q, x.q.size(1)}, std::pair{rstd.k, x.k.size(1)}})
    expect_shape(op, "rstd", kept, Shape{R, heads}), expect_type(op, "rstd", kept, wide), expect_contiguous(op, "rstd", kept);
}

void check_same(const char* op, const char* what, const ConstQueryKey& these, const ConstQueryKey& as) {
  expect_shape(op, what, these.q, as.q.shape()), expect_type(op, what, these.q, as.q.type());
  expect_shape(op, what, these.k, as.k.shape()), expect_type(op, what, these.k, as.k.type());
}

std::int64_t bytes_of(const ConstQueryKey& both) {
  return both.q.given() ? both.q.bytes() + both.k.bytes() : 0;
}

std::int64_t rows_of(const ConstQueryKey& x) {
  return x.q.shape().rows() + x.k.shape().rows();
}

// Heads and their size.
OpSizes sizes_of(const ConstQueryKey& x) {
  return {x.q.type(), {rows_of(x), x.q.size(2)}};
}

}  // namespace

void qk_norm_rope_forward(Stream& stream, const ConstQueryKey& x, const ConstQueryKey& weight, double eps, const Rotary& at,
                          const QueryKey& y, const QueryKey& rstd) {
  constexpr const char* op = "qk_norm_rope_forward";
  check(op, x, weight, rstd, at), check_same(op, "y", y, x);
  // As rms_norm_forward and rope_forward: 4 and 3 per element, 4 per head.
  const auto timed =
      stream.record(op, count_of(rows_of(x)) * (7 * count_of(x.q.size(2)) + 4),
                    count_of(bytes_of(x) + bytes_of(weight) + bytes_of(y) + bytes_of(rstd) + at.positions.bytes()), sizes_of(x));
  if (stream.planning()) return;
  run_op(stream, cpu::qk_norm_rope_forward, &cuda::OpTable::qk_norm_rope_forward, x, weight, eps, at, y, rstd);
}

void qk_norm_rope_backward(Stream& stream, const ConstQueryKey& dy, const ConstQueryKey& x, const ConstQueryKey& weight,
                           const ConstQueryKey& rstd, const Rotary& at, const QueryKey& dx, const QueryKey& dweight, Write write) {
  constexpr const char* op = "qk_norm_rope_backward";
  STRATA_ASSERT(rstd.q.given(), op, ": rstd is not given");
  check(op, x, weight, rstd, at), check_same(op, "dy", dy, x), check_same(op, "dx", dx, x);
  for (const View& w : {dweight.q, dweight.k})
    expect_shape(op, "dweight", w, weight.q.shape()), expect_type(op, "dweight", w, cpu::sum_type(x.q.type()));
  // As rope_backward and rms_norm_backward: 3 and 9 per element.
  const auto timed = stream.record(op, 12 * count_of(rows_of(x)) * count_of(x.q.size(2)),
                                   count_of(bytes_of(dy) + bytes_of(x) + bytes_of(weight) + bytes_of(rstd) + bytes_of(dx) +
                                            bytes_of(dweight) * (write == Write::add ? 2 : 1) + at.positions.bytes()),
                                   sizes_of(x));
  const auto workspace_of = stream.target() == DeviceKind::cuda ? cuda::qk_norm_rope_workspace : cpu::qk_norm_rope_workspace;
  void* workspace = stream.workspace(workspace_of(x.q.shape().rows(), x.k.shape().rows(), x.q.size(2), x.q.type()));
  if (stream.planning()) return;
  run_op(stream, cpu::qk_norm_rope_backward, &cuda::OpTable::qk_norm_rope_backward, dy, x, weight, rstd, at, dx, dweight, write, workspace);
}

}  // namespace strata
