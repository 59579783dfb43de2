#pragma once
// One call of any op, for timing it.
#include <functional>

#include "commands/measure_ops.hpp"

namespace strata {

using OpRun = std::function<void(Stream&)>;

/// The op with these sizes, its operands taken from `arena` (which may be planning). Throws InternalError for an op that is not known.
OpRun prepared(const MeasuredOp& measured, Arena& arena);

}  // namespace strata
