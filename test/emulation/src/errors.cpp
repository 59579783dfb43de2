#include "errors.hpp"

#include "emulation/host_calls.hpp"

namespace emulation {
namespace {

thread_local cudaError_t last = cudaSuccess;

struct Row {
  cudaError_t error;
  const char* name;
  const char* text;
};

#define STRATA_EMULATION_ROW(error, text) \
  { error, #error, text }
constexpr Row rows[] = {
    STRATA_EMULATION_ROW(cudaSuccess, "no error"),
    STRATA_EMULATION_ROW(cudaErrorInvalidValue, "invalid argument"),
    STRATA_EMULATION_ROW(cudaErrorMemoryAllocation, "out of memory"),
    STRATA_EMULATION_ROW(cudaErrorInitializationError, "initialization error"),
    STRATA_EMULATION_ROW(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    STRATA_EMULATION_ROW(cudaErrorInvalidHostPointer, "invalid host pointer"),
    STRATA_EMULATION_ROW(cudaErrorInvalidDevicePointer, "invalid device pointer"),
    STRATA_EMULATION_ROW(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    STRATA_EMULATION_ROW(cudaErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    STRATA_EMULATION_ROW(cudaErrorInvalidDeviceFunction, "invalid device function"),
    STRATA_EMULATION_ROW(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    STRATA_EMULATION_ROW(cudaErrorInvalidDevice, "invalid device ordinal"),
    STRATA_EMULATION_ROW(cudaErrorNoKernelImageForDevice, "no kernel image is available for execution on the device"),
    STRATA_EMULATION_ROW(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    STRATA_EMULATION_ROW(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    STRATA_EMULATION_ROW(cudaErrorNotReady, "device not ready"),
    STRATA_EMULATION_ROW(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    STRATA_EMULATION_ROW(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    STRATA_EMULATION_ROW(cudaErrorHostMemoryAlreadyRegistered, "part or all of the requested memory range is already mapped"),
    STRATA_EMULATION_ROW(cudaErrorHostMemoryNotRegistered, "pointer does not correspond to a registered memory region"),
    STRATA_EMULATION_ROW(cudaErrorLaunchFailure, "unspecified launch failure"),
    STRATA_EMULATION_ROW(cudaErrorNotPermitted, "operation not permitted"),
    STRATA_EMULATION_ROW(cudaErrorNotSupported, "operation not supported"),
    STRATA_EMULATION_ROW(cudaErrorStreamCaptureUnsupported, "operation not permitted when stream is capturing"),
    STRATA_EMULATION_ROW(cudaErrorStreamCaptureInvalidated, "operation failed due to a previous error during capture"),
    STRATA_EMULATION_ROW(cudaErrorStreamCaptureMerge, "operation would result in a merge of separate capture sequences"),
    STRATA_EMULATION_ROW(cudaErrorStreamCaptureUnmatched, "capture was not ended in the same stream as it began"),
    STRATA_EMULATION_ROW(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    STRATA_EMULATION_ROW(cudaErrorStreamCaptureIsolation, "dependency created on uncaptured work in another stream"),
    STRATA_EMULATION_ROW(cudaErrorStreamCaptureImplicit, "operation would make the legacy stream depend on a capturing blocking stream"),
    STRATA_EMULATION_ROW(cudaErrorCapturedEvent, "operation not permitted on an event last recorded in a capturing stream"),
    STRATA_EMULATION_ROW(cudaErrorStreamCaptureWrongThread, "attempt to terminate a thread-local capture sequence from another thread"),
    STRATA_EMULATION_ROW(
        cudaErrorGraphExecUpdateFailure,
        "the graph update was not performed because it included changes which violated constraints specific to instantiated graph update"),
    STRATA_EMULATION_ROW(cudaErrorUnknown, "unknown error"),
};
#undef STRATA_EMULATION_ROW

const Row* find_row(cudaError_t error) {
  for (const Row& row : rows) {
    if (row.error == error) return &row;
  }
  return nullptr;
}

}  // namespace

cudaError_t record(cudaError_t error) {
  if (error != cudaSuccess) last = error;
  return error;
}

}  // namespace emulation

extern "C" {

const char* cudaGetErrorName(cudaError_t error) {
  const auto* const row = emulation::find_row(error);
  return row != nullptr ? row->name : "unrecognized error code";
}
const char* cudaGetErrorString(cudaError_t error) {
  const auto* const row = emulation::find_row(error);
  return row != nullptr ? row->text : "unrecognized error code";
}
cudaError_t cudaGetLastError() {
  const cudaError_t error = emulation::last;
  emulation::last = cudaSuccess;
  return error;
}
cudaError_t cudaPeekAtLastError() {
  return emulation::last;
}

}  // extern "C"
