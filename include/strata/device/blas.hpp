#pragma once
// Matrix products on the host: by our own kernels for AVX-512 and AMX, elsewhere by tiles through oneDNN (Eigen for f64).
#include <cstdint>

#include "strata/base/dtype.hpp"
#include "strata/device/stream.hpp"

namespace strata {

/// Whether a product replaces its output or is added to it.
enum class Write : int { set, add };

/// A row-major matrix in memory: element (i, j) at data[i * stride + j], or at data[j * stride + i] when transposed.
struct MatrixRef {
  const void* data = nullptr;
  std::int64_t stride = 0;  // [elements] between stored rows
  bool transposed = false;
};

/// One product C[m,n] = alpha A[m,k] B[k,n], on the calling thread, C row-major with `ldc`. Types: A and B both f32, bf16 or f64; C f32
/// (from f32 or bf16), bf16 (from bf16, rounded once from the f32 sum) or f64. Sums in f32 (f64). Deterministic: the bits depend on sizes,
/// strides, transposition and contents alone, never on the thread or on addresses. Our own kernels pack both operands into the scratch; on
/// processors without AVX-512 it is oneDNN (primitives are cached per thread; the first call of a size creates one), for bf16 after a
/// conversion to f32 (scratch). Where `scratch` is too small, a buffer of the thread. m, n, k may be any size >= 0 (k = 0 gives zeros).
void gemm_tile(std::int64_t m, std::int64_t n, std::int64_t k, float alpha, DType in, MatrixRef a, MatrixRef b, DType out, void* c,
               std::int64_t ldc, void* scratch, std::int64_t scratch_bytes);

/// C[m,n] (=|+=) A B (+ bias over columns) (+ residual) by the stream's threads, cut by shape and transposition alone: panels for our own
/// kernels (on AMX up to 32 rows against a transposed B without packing B), tiles of about 512 x 512 for oneDNN and Eigen; up to four rows
/// against a transposed B by dot products that read B once. With Write::add, a bias or a residual: product, then bias, then addition to
/// the old value or residual, each rounded in f32, one rounding to the output type at the end. `bias` has `in`'s type [n] or is null;
/// `residual` has `out`'s type, row stride `ld_residual`, or is null; it may be C itself.
void gemm(Stream& stream, std::int64_t m, std::int64_t n, std::int64_t k, DType in, MatrixRef a, MatrixRef b, DType out, void* c,
          std::int64_t ldc, Write write = Write::set, const void* bias = nullptr, const void* residual = nullptr,
          std::int64_t ld_residual = 0);

}  // namespace strata
