#pragma once
// Matrix products by cuBLASLt.
#include <cuda_runtime.h>

#include <memory>

#include "strata/device/blas.hpp"
#include "strata/device/gpu.hpp"

namespace strata::cuda {

/// C[m,n] (=|+=) A B (+ bias) (+ residual), all row-major, as gemm() in device/blas.hpp takes it.
struct ProductCall {
  std::int64_t m, n, k;
  DType in;
  MatrixRef a, b;
  DType out;
  void* c;
  std::int64_t ldc;
  Write write;
  const void* bias;
  const void* residual;
  std::int64_t ld_residual;
  void* scratch;
  std::int64_t scratch_bytes;
};

class Products {
 public:
  virtual ~Products() = default;
  /// Gives the product to the queue. Sums in f32 (f64). The algorithm is the first that cuBLASLt's heuristic names for the shape among
  /// those without split-K across blocks by atomics, and without any for A^T B, which sets and adds by one algorithm; it is asked for once
  /// per shape. Throws InternalError naming the shape where there is none.
  virtual void run(cudaStream_t queue, const ProductCall& call) = 0;
};

std::unique_ptr<Products> make_products();

}  // namespace strata::cuda
