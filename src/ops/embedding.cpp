// Embedding: checks, cost and dispatch.
#include "strata/ops/embedding.hpp"

#include "ops/check.hpp"
#include "ops/cpu/embedding.hpp"
#include "ops/cuda/table.hpp"

namespace strata {

void embedding_forward(Stream& stream, ConstView ids, ConstView weight, View y) {
  constexpr const char* op = "embedding_forward";
  const std::int64_t R = ids.size(0), V = weight.size(0), H = weight.size(1);
  expect_shape(op, "ids", ids, Shape{R}), expect_type(op, "ids", ids, DType::i32);
  expect_shape(op, "weight", weight, Shape{V, H});
  expect_shape(op, "y", y, Shape{R, H}), expect_type(op, "y", y, weight.type());
  expect_float(op, "weight", weight);
  const auto timed = stream.record(op, 0.0, count_of(ids.bytes() + 2 * y.bytes()), {y.type(), {R, H, V}});
  if (stream.planning()) return;
  run_op(stream, cpu::embedding_forward, &cuda::OpTable::embedding_forward, ids, weight, y);
}

void embedding_sum_forward(Stream& stream, ConstView ids, ConstView types, ConstView words, ConstView types_table, ConstView positions,
                           std::int64_t S, View y) {
  constexpr const char* op = "embedding_sum_forward";
  const std::int64_t R = ids.size(0), H = words.size(1);
  expect_shape(op, "ids", ids, Shape{R}), expect_type(op, "ids", ids, DType::i32);
  expect_shape(op, "types", types, Shape{R}), expect_type(op, "types", types, DType::i32);
  expect_shape(op, "y", y, Shape{R, H}), expect_float(op, "y", y), expect_contiguous(op, "y", y);
  for (const auto& [what, table] : {std::pair{"words", words}, std::pair{"types_table", types_table}, std::pair{"positions", positions}})
    expect_shape(op, what, table, Shape{table.size(0), H}), expect_type(op, what, table, y.type()), expect_contiguous(op, what, table);
  STRATA_ASSERT(S > 0 && R % S == 0 && S <= positions.size(0), op, ": ", R, " rows in sequences of ", S, " with ", positions.size(0),
                " positions");
  const auto timed = stream.record(op, 2 * count_of(R * H), count_of(2 * ids.bytes() + 4 * y.bytes()), {y.type(), {R, H, words.size(0)}});
  if (stream.planning()) return;
  run_op(stream, cpu::embedding_sum_forward, &cuda::OpTable::embedding_sum_forward, ids, types, words, types_table, positions, S, y);
}

void embedding_backward(Stream& stream, ConstView dy, ConstView ids, View dweight, Write write) {
  constexpr const char* op = "embedding_backward";
  const std::int64_t R = ids.size(0), V = dweight.size(0), H = dweight.size(1);
  expect_shape(op, "ids", ids, Shape{R}), expect_type(op, "ids", ids, DType::i32);
  expect_shape(op, "dy", dy, Shape{R, H});
  expect_float(op, "dy", dy);
  expect_shape(op, "dweight", dweight, Shape{V, H}), expect_type(op, "dweight", dweight, cpu::sum_type(dy.type()));
  expect_contiguous(op, "dweight", dweight);
  // With add at most R rows of dweight are read and written; with set all of it is written.
  const std::int64_t row = H * static_cast<std::int64_t>(size_of(dweight.type()));
  const auto timed =
      stream.record(op, count_of(R * H), count_of(ids.bytes() + dy.bytes() + (write == Write::set ? dweight.bytes() : 2 * R * row)),
                    {dy.type(), {R, H, V}});
  void* workspace = stream.workspace(stream.target() == DeviceKind::cuda ? cuda::embedding_workspace(V) : cpu::embedding_workspace(R));
  if (stream.planning()) return;
  run_op(stream, cpu::embedding_backward, &cuda::OpTable::embedding_backward, dy, ids, dweight, write, workspace);
}

}  // namespace strata
