#pragma once
// A matrix product as its ways of computing see it, and what becomes of a block of finished sums.
#include <cstdint>

#include "strata/device/blas.hpp"

namespace strata {

/// C = A B + bias + old.
struct Product {
  std::int64_t k;
  DType in;
  MatrixRef a, b;
  DType out;
  void* c;
  std::int64_t ldc;
  const void* bias;  // of type `in`, one per column; null: none
  const void* old;   // of type `out`, added at the end: the residual, or what C held; null: none
  std::int64_t ld_old;
};

/// Element (row, column) of a stored matrix becomes the first of a part.
MatrixRef part(const MatrixRef& matrix, DType type, std::int64_t row, std::int64_t column);

/// C[row + i, column + j] = sums[i * ld_sums + j] + bias + old, each addition rounded in the type of the sums (f32; f64 for f64), one
/// rounding into C. `sums` has that type.
void finish_block(const Product& p, std::int64_t row, std::int64_t column, std::int64_t rows, std::int64_t columns, const void* sums,
                  std::int64_t ld_sums);

}  // namespace strata
