#pragma once
// Algorithms of cuBLASLt by their attributes, and the time they take.
#include <cublasLt.h>

#include <functional>
#include <memory>
#include <vector>

#include "device/cuda/products.hpp"
#include "strata/device/tuning.hpp"

namespace strata::cuda {

/// Throws InternalError with cuBLASLt's reason unless all is well.
void check_lt(cublasStatus_t status, const char* doing, const std::string& what = "");

/// What an algorithm for this call is chosen for.
ProductCase case_of(const ProductCall& call);
/// A call of that kind, whose pointers stand for memory that is not there. Throws DeckError for an epilogue that products do not have.
ProductCall call_of(const ProductCase& what);

/// Types of a product, as cublasLtMatmulAlgoInit() wants them.
struct LtTypes {
  cublasComputeType_t compute;
  cudaDataType_t scale, in, out;
};
/// What names an algorithm: its attributes, and its bytes unless the attributes give the same again.
ProductAlgorithm name_of(cublasLtHandle_t handle, const LtTypes& types, const cublasLtMatmulAlgo_t& algorithm);
/// The algorithm of that name. False: this version of cuBLASLt has none.
bool algorithm_named(cublasLtHandle_t handle, const LtTypes& types, const ProductAlgorithm& name, cublasLtMatmulAlgo_t& algorithm);

/// The same call on memory of its own, filled with random numbers. `scratch` has Stream::gpu_product_scratch_bytes.
class OwnOperands {
 public:
  OwnOperands(Gpu& gpu, cudaStream_t queue, const ProductCall& call, void* scratch);
  const ProductCall& call() const { return call_; }

 private:
  void* fresh(std::int64_t bytes);
  Gpu& gpu_;
  cudaStream_t queue_;
  int alignment_;
  std::uint32_t seed_ = 1;
  std::vector<std::shared_ptr<void>> memory_;
  ProductCall call_;
};

/// Median times on the queue [us] of works that do the same, taken in turns so that a change of the clock meets all alike; each time what
/// the caches hold is put out of them before. Five rounds at least, about `seconds`.
std::vector<double> median_times(Gpu& gpu, cudaStream_t queue, const std::vector<std::function<void()>>& works, double seconds);

}  // namespace strata::cuda
