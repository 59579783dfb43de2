// Finished sums of a product become elements of C.
#include "device/product.hpp"

namespace strata {
namespace {

using Index = std::int64_t;

const void* advanced(const void* data, DType type, Index elements) {
  return data ? static_cast<const unsigned char*>(data) + elements * static_cast<Index>(size_of(type)) : nullptr;
}

template <class Sum, class In, class Out>
void finish(Index rows, Index columns, const Sum* sums, Index ld_sums, const In* bias, const Out* old, Index ld_old, Out* c, Index ldc) {
  for (Index i = 0; i < rows; ++i) {
    const Sum* p = sums + i * ld_sums;
    const Out* o = old + (old ? i * ld_old : 0);
    Out* to = c + i * ldc;
    if (bias && old)
      for (Index j = 0; j < columns; ++j) to[j] = Out((p[j] + static_cast<Sum>(bias[j])) + static_cast<Sum>(o[j]));
    else if (bias)
      for (Index j = 0; j < columns; ++j) to[j] = Out(p[j] + static_cast<Sum>(bias[j]));
    else if (old)
      for (Index j = 0; j < columns; ++j) to[j] = Out(p[j] + static_cast<Sum>(o[j]));
    else
      for (Index j = 0; j < columns; ++j) to[j] = Out(p[j]);
  }
}

template <class Sum, class In, class Out>
void finish_as(const Product& p, Index row, Index column, Index rows, Index columns, const void* sums, Index ld_sums) {
  const auto* old = static_cast<const Out*>(advanced(p.old, p.out, row * p.ld_old + column));
  auto* c = static_cast<Out*>(p.c) + row * p.ldc + column;
  finish(rows, columns, static_cast<const Sum*>(sums), ld_sums, static_cast<const In*>(advanced(p.bias, p.in, column)), old, p.ld_old, c,
         p.ldc);
}

}  // namespace

MatrixRef part(const MatrixRef& matrix, DType type, Index row, Index column) {
  const Index offset = matrix.transposed ? column * matrix.stride + row : row * matrix.stride + column;
  return {advanced(matrix.data, type, offset), matrix.stride, matrix.transposed};
}

void finish_block(const Product& p, Index row, Index column, Index rows, Index columns, const void* sums, Index ld_sums) {
  if (p.in == DType::f64)
    finish_as<double, double, double>(p, row, column, rows, columns, sums, ld_sums);
  else if (p.in == DType::f32)
    finish_as<float, float, float>(p, row, column, rows, columns, sums, ld_sums);
  else if (p.out == DType::f32)
    finish_as<float, BFloat16, float>(p, row, column, rows, columns, sums, ld_sums);
  else
    finish_as<float, BFloat16, BFloat16>(p, row, column, rows, columns, sums, ld_sums);
}

}  // namespace strata
