// AdamW: checks, cost and dispatch.
#include "strata/ops/adamw.hpp"

#include "ops/check.hpp"
#include "ops/cpu/adamw.hpp"
#include "ops/cuda/table.hpp"

namespace strata {

void adamw_update(Stream& stream, View weight, View rest, ConstView gradient, View exp_avg, View exp_avg_sq, const AdamwStep& step) {
  const AdamwSegment all{weight.elements(), true};
  adamw_update(stream, weight, rest, gradient, exp_avg, exp_avg_sq, step, {&all, all.end > 0 ? 1u : 0u});
}

void adamw_update(Stream& stream, View weight, View rest, ConstView gradient, View exp_avg, View exp_avg_sq, const AdamwStep& step,
                  std::span<const AdamwSegment> segments) {
  constexpr const char* op = "adamw_update";
  expect_float(op, "weight", weight), expect_contiguous(op, "weight", weight);
  const DType state = cpu::sum_type(weight.type());
  const bool split = weight.type() == DType::bf16, copied = weight.type() == DType::f16;
  const char* const what = copied ? "master" : "remainder";
  STRATA_ASSERT((split || copied) == rest.given(), op, ": a weight in ", name_of(weight.type()),
                split || copied ? " needs its " : " has no ", what);
  if (rest.given()) {
    expect_type(op, what, rest, copied ? DType::f32 : DType::i16);
    expect_shape(op, what, rest, weight.shape()), expect_contiguous(op, what, rest);
  }
  expect_shape(op, "gradient", gradient, weight.shape()), expect_type(op, "gradient", gradient, state),
      expect_contiguous(op, "gradient", gradient);
  expect_shape(op, "exp_avg", exp_avg, weight.shape()), expect_type(op, "exp_avg", exp_avg, state),
      expect_contiguous(op, "exp_avg", exp_avg);
  expect_shape(op, "exp_avg_sq", exp_avg_sq, weight.shape()), expect_type(op, "exp_avg_sq", exp_avg_sq, state);
  expect_contiguous(op, "exp_avg_sq", exp_avg_sq);
  STRATA_ASSERT(step.t >= 1, op, ": update number ", step.t, ", expected 1 or more");
  std::int64_t end = 0;
  for (const AdamwSegment& segment : segments) {
    STRATA_ASSERT(segment.end > end, op, ": a segment ends at element ", segment.end, ", the one before at ", end);
    end = segment.end;
  }
  STRATA_ASSERT(end == weight.elements(), op, ": segments end at element ", end, " of ", weight.elements());
  // Per element: scale; m in three operations, v in four; p in seven.
  const auto timed = stream.record(op, 15 * count_of(weight.elements()),
                                   count_of((copied ? 1 : 2) * weight.bytes() + (rest.given() ? 2 * rest.bytes() : 0) + gradient.bytes() +
                                            2 * exp_avg.bytes() + 2 * exp_avg_sq.bytes()),
                                   {weight.type(), {weight.elements()}});
  if (stream.planning()) return;
  run_op(stream, cpu::adamw_update, &cuda::OpTable::adamw_update, weight, rest, gradient, exp_avg, exp_avg_sq, step, segments);
}

}  // namespace strata
