#pragma once
// The canonical order of sums: a binary tree whose left part always holds the largest power of two of the terms.
#include <bit>
#include <cstdint>
#include <span>

namespace strata {

/// Terms in the left part of a tree of n >= 2 terms: the largest power of two below n.
inline std::int64_t left_part(std::int64_t n) {
  return static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(n - 1)));
}

/// Sum of the terms by that tree; 0 for none. Same bits whoever computed the terms.
inline double fold(std::span<const double> terms) {
  if (terms.empty()) return 0.0;
  if (terms.size() == 1) return terms[0];
  const auto left = static_cast<std::size_t>(left_part(static_cast<std::int64_t>(terms.size())));
  return fold(terms.first(left)) + fold(terms.subspan(left));
}

}  // namespace strata
