// cuBLASLt's algorithms: three that differ in the order in which they add, and one whose order differs from call to call.
#include <algorithm>
#include <vector>

#include "cublaslt.hpp"

using namespace emulation;

namespace {

constexpr std::size_t wanted_workspace = 64 * 1024;  // [bytes] as much as is offered, up to this
constexpr std::int64_t long_sum = 512;               // from here on the first choice forms sums in two parts, where that is allowed
constexpr std::uint32_t forward_id = 1, backward_id = 2;

// Terms of each sum.
std::int64_t depth_of(const Problem& p) {
  const bool transposed = attribute<int>(p.desc, CUBLASLT_MATMUL_DESC_TRANSA) != CUBLAS_OP_N;
  return attribute<std::int64_t>(p.a, transposed ? CUBLASLT_MATRIX_LAYOUT_ROWS : CUBLASLT_MATRIX_LAYOUT_COLS);
}

// [bytes] that parts of the sums take, each of all of D in f32, or f64.
std::size_t bytes_of_parts(const Problem& p, std::uint32_t parts) {
  if (parts < 2) return 0;
  const bool wide = attribute<cudaDataType>(p.desc, CUBLASLT_MATMUL_DESC_SCALE_TYPE) == CUDA_R_64F;
  const auto elements =
      attribute<std::int64_t>(p.d, CUBLASLT_MATRIX_LAYOUT_ROWS) * attribute<std::int64_t>(p.d, CUBLASLT_MATRIX_LAYOUT_COLS);
  return static_cast<std::size_t>(elements) * parts * (wide ? 8 : 4);
}

Algorithm with(std::uint32_t id, std::uint32_t tile, std::uint32_t stages, std::uint32_t splits, std::uint32_t reduction) {
  auto algorithm = std::bit_cast<Algorithm>(make_algorithm(id, 0));
  algorithm.config[CUBLASLT_ALGO_CONFIG_TILE_ID] = tile;
  algorithm.config[CUBLASLT_ALGO_CONFIG_STAGES_ID] = stages;
  algorithm.config[CUBLASLT_ALGO_CONFIG_SPLITK_NUM] = splits;
  algorithm.config[CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME] = reduction;
  return algorithm;
}

}  // namespace

namespace emulation {

cublasStatus_t check(const Problem& problem, const Algorithm& algorithm, std::size_t& workspace) {
  if (algorithm.magic != algorithm_magic) return CUBLAS_STATUS_INVALID_VALUE;
  const auto config = [&](cublasLtMatmulAlgoConfigAttributes_t a) { return algorithm.config[a]; };
  const std::uint32_t parts = config(CUBLASLT_ALGO_CONFIG_SPLITK_NUM), scheme = config(CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME);
  const bool known = config(CUBLASLT_ALGO_CONFIG_ID) == forward_id || config(CUBLASLT_ALGO_CONFIG_ID) == backward_id;
  const bool in_range = config(CUBLASLT_ALGO_CONFIG_TILE_ID) <= 20 && config(CUBLASLT_ALGO_CONFIG_STAGES_ID) <= 35 &&
                        config(CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING) <= 1 && config(CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION) == 0 &&
                        config(CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID) == 0 && config(CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID) == 0;
  const bool split = parts > 1 ? scheme == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE || scheme == CUBLASLT_REDUCTION_SCHEME_INPLACE
                               : parts == 1 && scheme == CUBLASLT_REDUCTION_SCHEME_NONE;
  if (!known || !in_range || !split || parts > depth_of(problem)) return CUBLAS_STATUS_NOT_SUPPORTED;
  const std::size_t of_parts = scheme == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE ? bytes_of_parts(problem, parts) : 0;
  workspace = std::max<std::size_t>(algorithm.workspace, of_parts);
  return check(problem);
}

SumOrder order_of(const Algorithm& algorithm) {
  return {static_cast<int>(algorithm.config[CUBLASLT_ALGO_CONFIG_SPLITK_NUM]), algorithm.config[CUBLASLT_ALGO_CONFIG_ID] == backward_id,
          algorithm.config[CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME] == CUBLASLT_REDUCTION_SCHEME_INPLACE};
}

}  // namespace emulation

extern "C" {

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t* results, int* count) {
  if (handle == nullptr || preference == nullptr || requested < 1) return CUBLAS_STATUS_INVALID_VALUE;
  *count = 0;
  const Problem problem{*desc, *a, *b, *c, *d};
  const cublasStatus_t status = check(problem);
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const auto offered = attribute<std::uint64_t>(*preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
  const auto allowed = attribute<std::uint32_t>(*preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
  const std::size_t workspace_of_first = std::min<std::size_t>(offered, wanted_workspace);
  const bool in_parts = (allowed & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) != 0 && workspace_of_first == wanted_workspace &&
                        bytes_of_parts(problem, 2) <= offered && depth_of(problem) >= long_sum;
  Algorithm first = in_parts ? with(forward_id, 0, 0, 2, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)
                             : with(forward_id, 0, 0, 1, CUBLASLT_REDUCTION_SCHEME_NONE);
  first.workspace = static_cast<std::uint32_t>(workspace_of_first);
  // Nothing says that a heuristic leaves alignments beyond what kernels need (16 bytes) out of account: this one does not.
  const auto told = attribute<std::uint32_t>(*preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
  if (told > 16 && told < 256) first = with(backward_id, 18, 4, 1, CUBLASLT_REDUCTION_SCHEME_NONE);
  for (const Algorithm& one :
       {first, with(forward_id, 20, 3, 3, CUBLASLT_REDUCTION_SCHEME_INPLACE), with(backward_id, 18, 4, 1, CUBLASLT_REDUCTION_SCHEME_NONE),
        with(forward_id, 20, 3, 2, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE)}) {
    const std::uint32_t scheme = one.config[CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME];
    std::size_t workspace = 0;
    if ((scheme & ~allowed) != 0 || *count == requested || check(problem, one, workspace) != CUBLAS_STATUS_SUCCESS || workspace > offered)
      continue;
    cublasLtMatmulHeuristicResult_t& result = results[(*count)++];
    result = {};
    result.algo = std::bit_cast<cublasLtMatmulAlgo_t>(one);
    result.workspaceSize = workspace;
    result.wavesCount = 1.0f;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetIds(cublasLtHandle_t, cublasComputeType_t, cudaDataType_t, cudaDataType_t, cudaDataType_t,
                                        cudaDataType_t, cudaDataType_t, int requested, int ids[], int* count) {
  if (requested < 1) return CUBLAS_STATUS_INVALID_VALUE;
  *count = std::min(requested, 2);
  for (int i = 0; i < *count; ++i) ids[i] = static_cast<int>(i == 0 ? forward_id : backward_id);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t, cublasComputeType_t, cudaDataType_t, cudaDataType_t, cudaDataType_t, cudaDataType_t,
                                      cudaDataType_t, int id, cublasLtMatmulAlgo_t* algo) {
  if (algo == nullptr || (id != static_cast<int>(forward_id) && id != static_cast<int>(backward_id))) return CUBLAS_STATUS_INVALID_VALUE;
  *algo = make_algorithm(static_cast<std::uint32_t>(id), 0);
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t* algo,
                                       cublasLtMatmulHeuristicResult_t* result) {
  *result = {};
  std::size_t workspace = 0;
  const cublasStatus_t status = check({*desc, *a, *b, *c, *d}, std::bit_cast<Algorithm>(*algo), workspace);
  result->algo = *algo;
  result->workspaceSize = workspace;
  result->state = status;
  result->wavesCount = 1.0f;
  return status;
}

}  // extern "C"
