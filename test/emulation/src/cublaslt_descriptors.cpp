// cuBLASLt's handle, descriptors and algorithms.
#include "cublaslt.hpp"

#include <algorithm>

using namespace emulation;

namespace {

constexpr int unknown = 0;

// [bytes] of an attribute's value; 0 for one that is not known here.
std::size_t size_of(cublasLtMatrixLayoutAttribute_t attribute) {
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE:
    case CUBLASLT_MATRIX_LAYOUT_ORDER:
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT:
      return 4;
    case CUBLASLT_MATRIX_LAYOUT_ROWS:
    case CUBLASLT_MATRIX_LAYOUT_COLS:
    case CUBLASLT_MATRIX_LAYOUT_LD:
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET:
      return 8;
  }
  return unknown;
}

std::size_t size_of(cublasLtMatmulDescAttributes_t attribute) {
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_COMPUTE_TYPE:
    case CUBLASLT_MATMUL_DESC_SCALE_TYPE:
    case CUBLASLT_MATMUL_DESC_POINTER_MODE:
    case CUBLASLT_MATMUL_DESC_TRANSA:
    case CUBLASLT_MATMUL_DESC_TRANSB:
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
    case CUBLASLT_MATMUL_DESC_SM_COUNT_TARGET:
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE:
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return 4;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE:
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE:
      return 8;
  }
  return unknown;
}

// Eight slots for the attributes 0 to 7; those above 7 are accepted and forgotten.
std::size_t size_of(cublasLtMatmulPreferenceAttributes_t attribute) {
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES:
    case CUBLASLT_MATMUL_PREF_IMPL_MASK:
      return 8;
    default:
      return 4;
  }
}

std::size_t size_of(cublasLtMatmulAlgoConfigAttributes_t attribute) {
  const bool small = attribute == CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID || attribute == CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID;
  return small ? 2 : 4;
}

template <class Descriptor, class Attribute>
cublasStatus_t set(Descriptor* descriptor, Attribute attribute, const void* value, std::size_t bytes) {
  if (descriptor == nullptr || value == nullptr || bytes != size_of(attribute) || bytes == unknown) return CUBLAS_STATUS_INVALID_VALUE;
  if (static_cast<std::size_t>(attribute) >= sizeof descriptor->data / 8) return CUBLAS_STATUS_SUCCESS;
  descriptor->data[attribute] = 0;
  std::memcpy(&descriptor->data[attribute], value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

template <class Descriptor, class Attribute>
cublasStatus_t get(const Descriptor* descriptor, Attribute attribute, void* value, std::size_t bytes, std::size_t* written) {
  const std::size_t size = size_of(attribute);
  if (written != nullptr) *written = size;
  if (bytes == 0) return CUBLAS_STATUS_SUCCESS;
  if (descriptor == nullptr || value == nullptr || bytes != size) return CUBLAS_STATUS_INVALID_VALUE;
  if (static_cast<std::size_t>(attribute) >= sizeof descriptor->data / 8) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(value, &descriptor->data[attribute], bytes);
  return CUBLAS_STATUS_SUCCESS;
}

template <class Descriptor>
cublasStatus_t destroy(Descriptor* descriptor) {
  delete descriptor;
  return CUBLAS_STATUS_SUCCESS;
}

template <class Descriptor, class T>
void put(Descriptor& descriptor, int attribute, T value) {
  descriptor.data[attribute] = 0;
  std::memcpy(&descriptor.data[attribute], &value, sizeof value);
}

constexpr std::size_t wanted_workspace = 64 * 1024;  // [bytes] as much as is offered, up to this
constexpr std::uint64_t long_sum = 512;              // from here on sums are formed in two parts, where that is allowed

}  // namespace

struct cublasLtContext {
  int unused;
};

extern "C" {

const char* cublasGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS:
      return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case CUBLAS_STATUS_INVALID_VALUE:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_ARCH_MISMATCH:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case CUBLAS_STATUS_MAPPING_ERROR:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case CUBLAS_STATUS_EXECUTION_FAILED:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_INTERNAL_ERROR:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case CUBLAS_STATUS_NOT_SUPPORTED:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_LICENSE_ERROR:
      return "CUBLAS_STATUS_LICENSE_ERROR";
  }
  return "unknown status";
}
const char* cublasGetStatusString(cublasStatus_t status) {
  return cublasGetStatusName(status);
}
const char* cublasLtGetStatusName(cublasStatus_t status) {
  return cublasGetStatusName(status);
}
const char* cublasLtGetStatusString(cublasStatus_t status) {
  return cublasGetStatusName(status);
}
std::size_t cublasLtGetVersion() {
  return 130000;
}
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  *handle = new cublasLtContext{};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  delete handle;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType type, std::uint64_t rows, std::uint64_t cols,
                                          std::int64_t ld) {
  *layout = new cublasLtMatrixLayoutOpaque_t{};
  put(**layout, CUBLASLT_MATRIX_LAYOUT_TYPE, type);
  put(**layout, CUBLASLT_MATRIX_LAYOUT_ORDER, CUBLASLT_ORDER_COL);
  put(**layout, CUBLASLT_MATRIX_LAYOUT_ROWS, rows);
  put(**layout, CUBLASLT_MATRIX_LAYOUT_COLS, cols);
  put(**layout, CUBLASLT_MATRIX_LAYOUT_LD, ld);
  put(**layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, 1);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  return destroy(layout);
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                std::size_t bytes) {
  return set(layout, attribute, value, bytes);
}
cublasStatus_t cublasLtMatrixLayoutGetAttribute(cublasLtMatrixLayout_t layout, cublasLtMatrixLayoutAttribute_t attribute, void* value,
                                                std::size_t bytes, std::size_t* written) {
  return get(layout, attribute, value, bytes, written);
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute, cudaDataType_t scale) {
  *desc = new cublasLtMatmulDescOpaque_t{};
  put(**desc, CUBLASLT_MATMUL_DESC_COMPUTE_TYPE, compute);
  put(**desc, CUBLASLT_MATMUL_DESC_SCALE_TYPE, scale);
  put(**desc, CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DEFAULT);
  put(**desc, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, -1);
  put(**desc, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE, -1);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  return destroy(desc);
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, const void* value,
                                              std::size_t bytes) {
  return set(desc, attribute, value, bytes);
}
cublasStatus_t cublasLtMatmulDescGetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute, void* value,
                                              std::size_t bytes, std::size_t* written) {
  return get(desc, attribute, value, bytes, written);
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new cublasLtMatmulPreferenceOpaque_t{};
  put(**preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, CUBLASLT_REDUCTION_SCHEME_MASK);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  return destroy(preference);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  return set(preference, attribute, value, bytes);
}
cublasStatus_t cublasLtMatmulPreferenceGetAttribute(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
                                                    void* value, std::size_t bytes, std::size_t* written) {
  return get(preference, attribute, value, bytes, written);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int requested,
                                              cublasLtMatmulHeuristicResult_t* results, int* count) {
  if (handle == nullptr || preference == nullptr || requested < 1) return CUBLAS_STATUS_INVALID_VALUE;
  *count = 0;
  const cublasStatus_t status = check({*desc, *a, *b, *c, *d});
  if (status != CUBLAS_STATUS_SUCCESS) return status;
  const auto offered = attribute<std::uint64_t>(*preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
  const std::size_t workspace = std::min<std::size_t>(offered, wanted_workspace);
  results[0] = {};
  const bool in_parts =
      (attribute<std::uint32_t>(*preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) & CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE) != 0 &&
      workspace == wanted_workspace && terms_of({*desc, *a, *b, *c, *d}) >= long_sum;
  results[0].algo = make_algorithm(1, static_cast<std::uint32_t>(workspace), in_parts ? 2 : 1);
  results[0].workspaceSize = workspace;
  results[0].wavesCount = 1.0f;
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetIds(cublasLtHandle_t, cublasComputeType_t, cudaDataType_t, cudaDataType_t, cudaDataType_t,
                                        cudaDataType_t, cudaDataType_t, int requested, int ids[], int* count) {
  if (requested < 1) return CUBLAS_STATUS_INVALID_VALUE;
  ids[0] = 1;
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t, cublasComputeType_t, cudaDataType_t, cudaDataType_t, cudaDataType_t, cudaDataType_t,
                                      cudaDataType_t, int id, cublasLtMatmulAlgo_t* algo) {
  if (id != 1) return CUBLAS_STATUS_INVALID_VALUE;
  *algo = make_algorithm(1, 0);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t, cublasLtMatmulDesc_t desc, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                       cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t* algo,
                                       cublasLtMatmulHeuristicResult_t* result) {
  const auto algorithm = std::bit_cast<Algorithm>(*algo);
  if (algorithm.magic != algorithm_magic) return CUBLAS_STATUS_INVALID_VALUE;
  const cublasStatus_t status = check({*desc, *a, *b, *c, *d});
  *result = {};
  result->algo = *algo;
  result->workspaceSize = algorithm.workspace;
  result->state = status;
  result->wavesCount = 1.0f;
  return status;
}
cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t* algo, cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    const void* value, std::size_t bytes) {
  if (algo == nullptr || value == nullptr || bytes != size_of(attribute)) return CUBLAS_STATUS_INVALID_VALUE;
  auto algorithm = std::bit_cast<Algorithm>(*algo);
  algorithm.config[attribute] = 0;
  std::memcpy(&algorithm.config[attribute], value, bytes);
  *algo = std::bit_cast<cublasLtMatmulAlgo_t>(algorithm);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t* algo, cublasLtMatmulAlgoConfigAttributes_t attribute,
                                                    void* value, std::size_t bytes, std::size_t* written) {
  if (written != nullptr) *written = size_of(attribute);
  if (bytes == 0) return CUBLAS_STATUS_SUCCESS;
  if (algo == nullptr || value == nullptr || bytes != size_of(attribute)) return CUBLAS_STATUS_INVALID_VALUE;
  const auto algorithm = std::bit_cast<Algorithm>(*algo);
  std::memcpy(value, &algorithm.config[attribute], bytes);
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
