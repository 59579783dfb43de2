#pragma once
// Dropout whose mask is a function of what is dropped, never stored: forward and backward make it again from the same numbers.
#include <cstdint>

#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// What one dropout of a model drops in one pass. The factor of element j of row i of sample n is 0 or 1 / (1 - p'), by 16 bits of
/// Philox keyed by (seed, dropout) and counted by (step, n, site, head, i, j): no rank, thread, batch size or padding enters.
/// p' is p rounded to a multiple of 2^-16, so that the expectation is exact.
struct Dropout {
  double p = 0;  // probability to drop, 0 <= p < 1; 0: nothing is dropped and nothing else here is read
  std::uint64_t seed = 0;
  std::uint32_t step = 0;  // of the optimizer
  std::uint32_t site = 0;  // which dropout of the model, < 2^20
  ConstView samples{};     // i32 [B]: the number of each sequence among all that the step sees
  ConstView step_at{};  // i32 [1], or not given: where a GPU's kernels read `step` when they run; the host takes `step`, which is the same

  bool drops() const { return p > 0; }
};

/// y = x * factor; the backward pass is the same call on gradients, dx = dy * factor. With p = 0, y = x.
/// [in] x [B S, H], contiguous  [out] y, shape of x, may be x. Row i of sample n is position i < 65,536 of its sequence; H < 524,288.
/// dtype: f32, bf16, f64; one rounding. Local.
void dropout(Stream& stream, ConstView x, const Dropout& what, View y);

}  // namespace strata
