// Element-wise work: checks, cost and dispatch.
#include "strata/ops/elementwise.hpp"

#include "ops/check.hpp"
#include "ops/cpu/elementwise.hpp"
#include "ops/cuda/table.hpp"

namespace strata {
namespace {

void expect_flat(const char* op, const char* what, const ConstView& view, std::int64_t elements) {
  expect_contiguous(op, what, view);
  if (view.elements() == elements) return;
  throw InternalError(text(op, ": ", what, " has ", view.elements(), " elements, expected ", elements));
}

void check_master(const char* op, const ConstView& master, const ConstView& weight, const ConstView& remainder) {
  expect_type(op, "master", master, DType::f32), expect_type(op, "weight", weight, DType::bf16),
      expect_type(op, "remainder", remainder, DType::i16);
  expect_flat(op, "master", master, master.elements());
  expect_flat(op, "weight", weight, master.elements()), expect_flat(op, "remainder", remainder, master.elements());
}

}  // namespace

void fill(Stream& stream, View y, double value) {
  expect_float("fill", "y", y), expect_contiguous("fill", "y", y);
  const auto timed = stream.record("fill", 0, count_of(y.bytes()), {y.type(), {y.elements()}});
  if (stream.planning()) return;
  run_op(stream, cpu::fill, &cuda::OpTable::fill, y, value);
}

void cast(Stream& stream, ConstView x, View y) {
  expect_float("cast", "x", x), expect_float("cast", "y", y);
  expect_flat("cast", "x", x, x.elements()), expect_flat("cast", "y", y, x.elements());
  const auto timed = stream.record("cast", 0, count_of(x.bytes() + y.bytes()), {y.type(), {y.elements()}});
  if (stream.planning()) return;
  run_op(stream, cpu::cast, &cuda::OpTable::cast, x, y);
}

void add_into(Stream& stream, View y, ConstView x) {
  if (y.type() != DType::f64) expect_type("add_into", "y", y, DType::f32);
  expect_type("add_into", "x", x, y.type());
  expect_flat("add_into", "y", y, y.elements()), expect_flat("add_into", "x", x, y.elements());
  const auto timed = stream.record("add_into", count_of(y.elements()), count_of(x.bytes() + 2 * y.bytes()), {y.type(), {y.elements()}});
  if (stream.planning()) return;
  run_op(stream, cpu::add_into, &cuda::OpTable::add_into, y, x);
}

void split_master(Stream& stream, ConstView master, View weight, View remainder) {
  check_master("split_master", master, weight, remainder);
  const auto timed =
      stream.record("split_master", 0, count_of(master.bytes() + weight.bytes() + remainder.bytes()), {master.type(), {master.elements()}});
  if (stream.planning()) return;
  run_op(stream, cpu::split_master, &cuda::OpTable::split_master, master, weight, remainder);
}

void join_master(Stream& stream, ConstView weight, ConstView remainder, View master) {
  check_master("join_master", master, weight, remainder);
  const auto timed =
      stream.record("join_master", 0, count_of(master.bytes() + weight.bytes() + remainder.bytes()), {master.type(), {master.elements()}});
  if (stream.planning()) return;
  run_op(stream, cpu::join_master, &cuda::OpTable::join_master, weight, remainder, master);
}

void sum_of_squares(Stream& stream, ConstView x, View partials) {
  const std::int64_t end = x.elements();
  sum_of_squares(stream, x, {&end, end > 0 ? 1u : 0u}, partials);
}

void sum_of_squares(Stream& stream, ConstView x, std::span<const std::int64_t> ends, View partials) {
  constexpr const char* op = "sum_of_squares";
  if (x.type() != DType::f64) expect_type(op, "x", x, DType::f32);
  expect_type(op, "partials", partials, DType::f64);
  std::int64_t begin = 0, chunks = 0;
  for (const std::int64_t end : ends) {
    STRATA_ASSERT(end > begin, op, ": a part ends at element ", end, ", the one before at ", begin);
    chunks += cpu::square_chunks(end - begin), begin = end;
  }
  STRATA_ASSERT(begin == x.elements(), op, ": parts end at element ", begin, " of ", x.elements());
  expect_flat(op, "x", x, x.elements()), expect_flat(op, "partials", partials, chunks);
  const auto timed = stream.record(op, 2 * count_of(x.elements()), count_of(x.bytes() + partials.bytes()), {x.type(), {x.elements()}});
  if (stream.planning()) return;
  run_op(stream, cpu::sum_of_squares, &cuda::OpTable::sum_of_squares, x, ends, partials);
}

}  // namespace strata
