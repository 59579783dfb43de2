#pragma once
// Sums of many terms with a fixed number of lanes: the compiler vectorises them, and their order depends on the number of terms alone.
#include <array>
#include <cstdint>

namespace strata::cpu {

/// Sum of term(i) for i in [0, n), as Sum. Lane l adds the terms i = l, l + lanes, ... in order; lanes are folded by halves.
template <class Sum, int lanes = 32, class Term>
inline Sum lane_sum(std::int64_t n, Term&& term) {
  static_assert((lanes & (lanes - 1)) == 0);
  Sum sum[lanes] = {};
  std::int64_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int l = 0; l < lanes; ++l) sum[l] += term(i + l);
  for (int l = 0; i + l < n; ++l) sum[l] += term(i + l);
  for (int width = lanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) sum[l] += sum[l + width];
  return sum[0];
}

}  // namespace strata::cpu
