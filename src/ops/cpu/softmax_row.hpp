#pragma once
// Softmax of one long row, with sums in an order that only the row's length decides.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "ops/cpu/vector_math.hpp"

namespace strata::cpu {

/// Largest of n >= 1 values; NaN is passed over (it comes back in the sum of exponentials).
template <class T>
T row_max(const T* z, std::int64_t n) {
  constexpr std::int64_t lanes = 64;
  if (n < lanes) return *std::max_element(z, z + n);
  std::array<T, lanes> most;
  std::copy_n(z, lanes, most.begin());
  for (std::int64_t i = lanes; i < n; i += lanes) {
    const T* from = z + std::min(i, n - lanes);  // the last step looks at some values twice
    for (std::size_t l = 0; l < lanes; ++l) most[l] = from[l] > most[l] ? from[l] : most[l];
  }
  return *std::max_element(most.begin(), most.end());
}

/// Sum of exp(z - max) in f64: inside blocks of 2,048 by 64 lanes in T, folded in order. With `keep`, z becomes exp(z - max).
template <bool keep, class T>
double sum_exp(std::conditional_t<keep, T, const T>* z, std::int64_t n, T max) {
  constexpr std::int64_t lanes = 64, block = 2048;
  double total = 0;
  for (std::int64_t first = 0; first < n; first += block) {
    const std::int64_t last = std::min(n, first + block);
    std::array<T, lanes> sum{};
    std::int64_t i = first;
    for (; i + lanes <= last; i += lanes)
      for (std::int64_t l = 0; l < lanes; ++l) {
        const T e = exp_of(z[i + l] - max);
        if constexpr (keep) z[i + l] = e;
        sum[static_cast<std::size_t>(l)] += e;
      }
    for (std::int64_t l = 0; i + l < last; ++l) {
      const T e = exp_of(z[i + l] - max);
      if constexpr (keep) z[i + l] = e;
      sum[static_cast<std::size_t>(l)] += e;
    }
    for (std::int64_t width = lanes / 2; width > 0; width /= 2)
      for (std::int64_t l = 0; l < width; ++l) sum[static_cast<std::size_t>(l)] += sum[static_cast<std::size_t>(l + width)];
    total += static_cast<double>(sum[0]);
  }
  return total;
}

}  // namespace strata::cpu
