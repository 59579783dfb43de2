// The cache of keys and values: checks, cost and dispatch.
#include "strata/ops/kv_cache.hpp"

#include "ops/check.hpp"
#include "ops/cpu/kv_cache.hpp"
#include "ops/cuda/table.hpp"

namespace strata {

void store_rows(Stream& stream, ConstView rows, ConstView positions, View cache) {
  constexpr const char* op = "store_rows";
  expect_float(op, "rows", rows), expect_rank(op, "rows", rows, 3), expect_rank(op, "cache", cache, 4);
  const std::int64_t R = rows.size(0);
  expect_shape(op, "cache", cache, Shape{cache.size(0), cache.size(1), rows.size(1), rows.size(2)}),
      expect_type(op, "cache", cache, rows.type());
  if (positions.given()) expect_shape(op, "positions", positions, Shape{R}), expect_type(op, "positions", positions, DType::i32);
  STRATA_ASSERT(R <= (positions.given() ? cache.size(0) : cache.size(1)), op, ": ", R, " rows for a cache of ", cache.shape().str());
  const auto timed = stream.record(op, 0.0, count_of(2 * rows.bytes()), {rows.type(), {R, rows.size(1) * rows.size(2)}});
  if (stream.planning()) return;
  run_op(stream, cpu::store_rows, &cuda::OpTable::store_rows, rows, positions, cache);
}

}  // namespace strata
