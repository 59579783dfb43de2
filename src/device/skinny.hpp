#pragma once
// Products with one to four rows, as in generation: they are bound by reading B, which is read once.
#include <cstdint>

#include "strata/device/blas.hpp"

namespace strata {

constexpr std::int64_t skinny_rows = 4;      // at most
constexpr std::int64_t skinny_columns = 64;  // of one task

/// Whether a product takes this path: decided by its shape, types and transposition alone.
bool is_skinny(std::int64_t m, std::int64_t k, DType in, const MatrixRef& a, const MatrixRef& b);

/// sums[i * columns + j] = a_i b_j for the m <= 4 rows of A and `columns` rows of the stored (transposed) B, f32 or bf16, in 32 lanes of
/// f32 folded in a fixed order. `scratch` holds A widened to f32: Stream::worker_scratch_bytes less the sums are enough where is_skinny()
/// says so.
void skinny_product(std::int64_t m, std::int64_t columns, std::int64_t k, DType in, const MatrixRef& a, const MatrixRef& b, float* sums,
                    float* scratch);

}  // namespace strata
