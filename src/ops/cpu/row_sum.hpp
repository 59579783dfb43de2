#pragma once
// Sums over the rows of a matrix, in an order that only the number of rows decides.
#include <algorithm>
#include <array>
#include <cstdint>

#include "ops/cpu/element.hpp"
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"

namespace strata::cpu {

/// out[j] (=|+=) sum over r of x[r * stride + j]: rows are added in order inside blocks of 64, blocks in order; threads share the columns.
template <class T>
void sum_rows(Stream& stream, const T* x, std::int64_t stride, std::int64_t rows, std::int64_t columns, SumOf<T>* out, Write write) {
  using Sum = SumOf<T>;
  constexpr std::int64_t width = 256, block = 64;
  stream.pool().run((columns + width - 1) / width, [&](std::int64_t task, int) {
    const std::int64_t first = task * width, count = std::min(width, columns - first);
    std::array<Sum, width> total{};
    for (std::int64_t row = 0; row < rows; row += block) {
      std::array<Sum, width> sum{};
      for (std::int64_t r = row; r < std::min(rows, row + block); ++r) {
        const T* from = x + r * stride + first;
        for (std::int64_t j = 0; j < count; ++j) sum[static_cast<std::size_t>(j)] += static_cast<Sum>(from[j]);
      }
      for (std::size_t j = 0; j < width; ++j) total[j] += sum[j];
    }
    Sum* to = out + first;
    for (std::int64_t j = 0; j < count; ++j)
      to[j] = write == Write::add ? to[j] + total[static_cast<std::size_t>(j)] : total[static_cast<std::size_t>(j)];
  });
}

}  // namespace strata::cpu
