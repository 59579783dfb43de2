#pragma once
// Factor: a number of an op that changes from call to call, and where a kernel finds it.
#include "strata/tensor/view.hpp"

namespace strata {

/// A number, as the host knows it. With `place` a GPU's kernels read it there when they run: work that is given to the queue again and
/// again (GpuGraph) then has the number of the day. The host takes `value`, which is the same at the time of the call.
struct Factor {
  double value = 1;
  ConstView place{};                                                      // f64 [1], or not given
  Factor(double number, ConstView at = {}) : value(number), place(at) {}  // NOLINT: a number is a factor
};

}  // namespace strata
