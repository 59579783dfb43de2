#pragma once
// Products of up to 32 rows with many on the processor's matrix tiles (AMX), as in generation: they run at the speed at which B is read.
#include <cstdint>

#include "strata/device/blas.hpp"

namespace strata {

constexpr std::int64_t tile_rows = 32;       // of A, at most
constexpr std::int64_t tile_columns = 1024;  // of one task, at most
constexpr std::int64_t tile_depth = 32;      // k is a multiple of it
constexpr std::int64_t tile_alignment = 64;  // [bytes] of the scratch

/// Whether a product takes this path: decided by its shape, types, transposition and the processor alone.
bool fits_tiles(std::int64_t m, std::int64_t k, DType in, const MatrixRef& a, const MatrixRef& b);

/// A (bf16, m rows) rearranged into pairs of neighbours for tile_product(): [(m + 15) / 16 * 16 * k] bf16 at most, aligned to 64 bytes.
void pair_rows(std::int64_t m, std::int64_t k, const MatrixRef& a, void* pairs);

/// sums[i * columns + j] = a_i b_j for the m rows of A, given by pair_rows(), and `columns` rows of the stored (transposed) B (bf16): f32
/// sums over k in rising order, the same for every m and every cut into tasks.
void tile_product(std::int64_t m, std::int64_t columns, std::int64_t k, const void* pairs, const MatrixRef& b, float* sums);

}  // namespace strata
