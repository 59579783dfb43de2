// Dropout: checks, cost and dispatch.
#include "strata/ops/dropout.hpp"

#include "ops/cpu/dropout.hpp"
#include "ops/cuda/table.hpp"
#include "ops/dropout_check.hpp"

namespace strata {

void dropout(Stream& stream, ConstView x, const Dropout& what, View y) {
  constexpr const char* op = "dropout";
  expect_float(op, "x", x), expect_rank(op, "x", x, 2), expect_contiguous(op, "x", x);
  expect_shape(op, "y", y, x.shape()), expect_type(op, "y", y, x.type()), expect_contiguous(op, "y", y);
  expect_dropout(op, what, x.size(0), x.size(1), 1);
  const auto timed = stream.record(op, count_of(x.elements()), count_of(x.bytes() + y.bytes()), {x.type(), {x.size(0), x.size(1)}});
  if (stream.planning()) return;
  run_op(stream, cpu::dropout, &cuda::OpTable::dropout, x, what, y);
}

}  // namespace strata
