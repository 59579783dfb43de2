#pragma once
// Matrix products by cuBLASLt.
#include <cuda_runtime.h>

#include <memory>

#include "strata/device/blas.hpp"
#include "strata/device/gpu.hpp"
#include "strata/device/tuning.hpp"

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

/// A^T B is the gradient of a weight, dW = dy^T x. It is set, or added to another micro-batch's, and the two must be one sum: which of the
/// two happens depends on which rank computes what. So both are one plan, of one algorithm, and that adds C to the finished sum, in f32, as
/// an addition of its own would (doc/cuda.md, "Gradients of weights").
inline bool adds_as_it_sets(const ProductCall& call) {
  return call.a.transposed && !call.b.transposed && !call.bias && !call.residual;
}

class Products {
 public:
  virtual ~Products() = default;
  /// Gives the product to the queue. Sums in f32 (f64). The algorithm is that of the tuning in use, otherwise the first that cuBLASLt's
  /// heuristic names for the shape among those without split-K across blocks by atomics, and without any for A^T B, which sets and adds by
  /// one algorithm; it is asked for once per shape. Throws InternalError naming the shape where there is none.
  virtual void run(cudaStream_t queue, const ProductCall& call) = 0;
  /// As Gpu::use_tuning(), Gpu::note_products() and Gpu::tune_products().
  virtual void use(const Tuning& tuning) = 0;
  virtual void note() = 0;
  virtual std::map<std::string, TunedProduct> tune(Gpu& gpu, cudaStream_t queue, int candidates, double seconds) = 0;
};

/// cuBLASLt's version as it tells it: 130002.
std::int64_t cublaslt_version();

std::unique_ptr<Products> make_products();

}  // namespace strata::cuda
