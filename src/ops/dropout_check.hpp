#pragma once
// What the fronts of ops that drop check of it.
#include "ops/check.hpp"
#include "strata/ops/dropout.hpp"

namespace strata {

/// Throws InternalError unless `what` can drop from `rows` rows of `columns` elements, of the sequences it names, for `heads` heads.
inline void expect_dropout(const char* op, const Dropout& what, std::int64_t rows, std::int64_t columns, std::int64_t heads) {
  STRATA_ASSERT(what.p >= 0 && what.p < 1, op, ": dropout probability ", what.p, ", expected 0 <= p < 1");
  if (!what.drops()) return;
  const std::int64_t B = what.samples.given() ? what.samples.elements() : 0;
  STRATA_ASSERT(B > 0 && rows % B == 0, op, ": ", rows, " rows are not those of ", B, " sequences");
  expect_shape(op, "samples", what.samples, Shape{B}), expect_type(op, "samples", what.samples, DType::i32);
  expect_contiguous(op, "samples", what.samples);
  if (what.step_at.given()) expect_shape(op, "step_at", what.step_at, Shape{1}), expect_type(op, "step_at", what.step_at, DType::i32);
  STRATA_ASSERT(rows / B < 65536 && columns < 524288 && heads < 4096 && what.site < (1u << 20), op, ": dropout of ", rows / B, " rows of ",
                columns, " elements, ", heads, " heads, site ", what.site, "; expected fewer than 65536, 524288, 4096 and 1048576");
}

}  // namespace strata
