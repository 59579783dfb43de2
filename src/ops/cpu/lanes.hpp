#pragma once
// Sums of many terms with a fixed number of lanes: the compiler vectorises them, and their order depends on the number of terms alone.
#include <cstdint>

namespace strata::cpu {

/// Folds lanes by halves: lane l takes lane l + lanes / 2, and so on down to one.
template <int lanes, class Sum>
[[gnu::always_inline]] inline Sum fold_lanes(Sum* sum) {
  if constexpr (lanes > 1) {
    for (int l = 0; l < lanes / 2; ++l) sum[l] += sum[l + lanes / 2];
    return fold_lanes<lanes / 2>(sum);
  } else {
    return sum[0];
  }
}

/// Sum of term(i) for i in [0, n), as Sum. Lane l adds the terms i = l, l + lanes, ... in order; then lanes are folded.
template <class Sum, int lanes = 32, class Term>
[[gnu::always_inline]] inline Sum lane_sum(std::int64_t n, Term&& term) {
  Sum sum[lanes] = {};
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int l = 0; l < lanes; ++l) sum[l] += term(i + l);
  if (i < n) {
    Sum rest[lanes] = {};  // its own array: the lanes above then stay in registers
    for (int l = 0; i + l < n; ++l) rest[l] = term(i + l);
    for (int l = 0; l < lanes; ++l) sum[l] += rest[l];
  }
  return fold_lanes<lanes>(sum);
}

}  // namespace strata::cpu
