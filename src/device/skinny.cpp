// Dot products of a few rows with many, on vectors of 16 floats.
#include "device/skinny.hpp"

#include <algorithm>
#include <cstring>

namespace strata {
namespace {

using Index = std::int64_t;
constexpr Index width = 16;
using Floats = float __attribute__((vector_size(width * sizeof(float))));
using Words = std::uint32_t __attribute__((vector_size(width * sizeof(std::uint32_t))));
using Halves = std::uint16_t __attribute__((vector_size(width * sizeof(std::uint16_t))));

inline void load(const float* from, Floats& to) {
  std::memcpy(&to, from, sizeof to);
}
inline void load(const BFloat16* from, Floats& to) {
  Halves halves;
  std::memcpy(&halves, from, sizeof halves);
  const Words words = __builtin_convertvector(halves, Words) << 16;
  std::memcpy(&to, &words, sizeof to);
}

Index padded(Index k) {
  return (k + width - 1) / width * width;
}

/// Rows of A as f32, each padded with zeros to whole vectors.
template <class T>
void widen(const T* a, Index stride, Index m, Index k, float* to) {
  for (Index i = 0; i < m; ++i, to += padded(k)) {
    for (Index p = 0; p < k; ++p) to[p] = static_cast<float>(a[i * stride + p]);
    std::fill(to + k, to + padded(k), 0.0F);
  }
}

float folded(const Floats& even, const Floats& odd) {
  Floats sum = even + odd;
  for (Index half = width / 2; half > 0; half /= 2)
    for (Index l = 0; l < half; ++l) sum[l] += sum[l + half];
  return sum[0];
}

/// Products of M rows of A with one row of B: vectors take turns in two accumulators.
template <Index M, class T>
void dots(const float* a, const T* b, Index k, float* sums, Index ld_sums) {
  Floats sum[M][2] = {}, left, right;
  Index p = 0;
  const auto step = [&](Index turn) {
    for (Index i = 0; i < M; ++i) {
      load(a + i * padded(k) + p, left);
      sum[i][turn] += left * right;
    }
  };
  for (; p + 2 * width <= k;) {
    load(b + p, right), step(0), p += width;
    load(b + p, right), step(1), p += width;
  }
  for (Index turn = 0; p < k; ++turn, p += width) {
    T rest[width] = {};
    std::copy_n(b + p, std::min(width, k - p), rest);
    load(rest, right), step(turn);
  }
  for (Index i = 0; i < M; ++i) sums[i * ld_sums] = folded(sum[i][0], sum[i][1]);
}

template <class T>
void product(Index m, Index columns, Index k, const MatrixRef& a, const MatrixRef& b, float* sums, float* wide) {
  widen(static_cast<const T*>(a.data), a.stride, m, k, wide);
  const auto* rows = static_cast<const T*>(b.data);
  for (Index j = 0; j < columns; ++j) {
    const T* row = rows + j * b.stride;
    switch (m) {
      case 1:
        dots<1>(wide, row, k, sums + j, columns);
        break;
      case 2:
        dots<2>(wide, row, k, sums + j, columns);
        break;
      case 3:
        dots<3>(wide, row, k, sums + j, columns);
        break;
      default:
        dots<4>(wide, row, k, sums + j, columns);
        break;
    }
  }
}

}  // namespace

bool is_skinny(std::int64_t m, std::int64_t k, DType in, const MatrixRef& a, const MatrixRef& b) {
  const Index floats = m * (padded(k) + skinny_columns);
  return m <= skinny_rows && k > 0 && in != DType::f64 && !a.transposed && b.transposed && floats * 4 <= Stream::worker_scratch_bytes;
}

void skinny_product(std::int64_t m, std::int64_t columns, std::int64_t k, DType in, const MatrixRef& a, const MatrixRef& b, float* sums,
                    float* scratch) {
  if (in == DType::bf16)
    product<BFloat16>(m, columns, k, a, b, sums, scratch);
  else
    product<float>(m, columns, k, a, b, sums, scratch);
}

}  // namespace strata
