// The emulated card, and the calls that give out its memory.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "emulation/host_calls.hpp"
#include "errors.hpp"
#include "fault.hpp"
#include "kernel.hpp"
#include "memory.hpp"
#include "stream.hpp"

using namespace emulation;

namespace {

int current_device = 0;

int from_environment(const char* name, int otherwise) {
  const char* const text = std::getenv(name);
  return text != nullptr ? std::atoi(text) : otherwise;
}

int device_count() {
  return from_environment("STRATA_EMULATION_DEVICES", 1);
}
int architecture() {  // 90 is sm_90
  return from_environment("STRATA_EMULATION_ARCH", 90);
}

int driver_version() {
  return from_environment("STRATA_EMULATION_DRIVER", CUDART_VERSION);
}

bool exists(int device) {
  return device >= 0 && device < device_count();
}

cudaError_t allocate_to(void** pointer, std::size_t bytes, Kind kind) {
  const Guard guard = lock();
  watch_faults();
  if (pointer == nullptr) return record(cudaErrorInvalidValue);
  *pointer = nullptr;
  if (const auto error = unsafe_in_capture()) return record(error);
  if (kind == Kind::device && device_count() < 1) return record(cudaErrorNoDevice);
  if (bytes == 0) return record(cudaSuccess);
  const Allocation* const a = allocate(kind, bytes);
  if (a == nullptr) return record(cudaErrorMemoryAllocation);
  *pointer = a->begin;
  return record(cudaSuccess);
}

cudaError_t free_of(void* pointer, Kind kind) {
  const Guard guard = lock();
  if (pointer == nullptr) return record(cudaSuccess);
  if (const auto error = unsafe_in_capture()) return record(error);
  drain_all();
  return record(release(kind, pointer) ? cudaSuccess : cudaErrorInvalidValue);
}

}  // namespace

// CUDA programming guide, technical specifications by compute capability.
std::size_t emulation::shared_limit() {
  switch (architecture()) {
    case 80:
    case 87:
      return 163 * 1024;
    case 86:
    case 89:
    case 120:
    case 121:
      return 99 * 1024;
    default:
      return most_shared;
  }
}

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) {
  *version = driver_version();
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (driver_version() < CUDART_VERSION / 1000 * 1000) return record(cudaErrorInsufficientDriver);
  *count = std::max(device_count(), 0);
  return record(*count == 0 ? cudaErrorNoDevice : cudaSuccess);
}
cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (!exists(device)) return record(cudaErrorInvalidDevice);
  if (device_bytes() == 0) return record(cudaErrorMemoryAllocation);
  current_device = device;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  if (!exists(device)) return record(cudaErrorInvalidDevice);
  *p = {};
  std::snprintf(p->name, sizeof p->name, "emulated GPU");  // cards of one kind have one name
  p->uuid.bytes[15] = static_cast<char>(device);
  p->totalGlobalMem = device_bytes();
  p->sharedMemPerBlock = shared_default;
  p->sharedMemPerBlockOptin = shared_limit();
  p->sharedMemPerMultiprocessor = shared_limit() + 1024;
  p->reservedSharedMemPerBlock = 1024;
  p->regsPerBlock = p->regsPerMultiprocessor = 65536;
  p->warpSize = 32;
  p->maxThreadsPerBlock = 1024;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024, p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 2147483647, p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->totalConstMem = 65536;
  p->major = architecture() / 10, p->minor = architecture() % 10;
  p->multiProcessorCount = 4;  // few: persistent kernels stay short
  p->canMapHostMemory = p->concurrentKernels = p->unifiedAddressing = p->streamPrioritiesSupported = p->cooperativeLaunch = 1;
  p->ECCEnabled = p->hostRegisterSupported = p->managedMemory = 1;
  p->pciBusID = 16 + device;
  p->asyncEngineCount = 3;
  p->memoryBusWidth = 5120;
  p->l2CacheSize = 50 << 20;
  p->maxThreadsPerMultiProcessor = 2048;
  p->maxBlocksPerMultiProcessor = 32;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp p;
  if (const auto error = cudaGetDeviceProperties(&p, device)) return error;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      *value = static_cast<int>(p.sharedMemPerBlock);
      break;
    case cudaDevAttrWarpSize:
      *value = p.warpSize;
      break;
    case cudaDevAttrMaxRegistersPerBlock:
      *value = p.regsPerBlock;
      break;
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      break;
    case cudaDevAttrIntegrated:
      *value = p.integrated;
      break;
    case cudaDevAttrConcurrentKernels:
      *value = p.concurrentKernels;
      break;
    case cudaDevAttrPciBusId:
      *value = p.pciBusID;
      break;
    case cudaDevAttrPciDeviceId:
      *value = p.pciDeviceID;
      break;
    case cudaDevAttrL2CacheSize:
      *value = p.l2CacheSize;
      break;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      *value = p.maxThreadsPerMultiProcessor;
      break;
    case cudaDevAttrAsyncEngineCount:
      *value = p.asyncEngineCount;
      break;
    case cudaDevAttrUnifiedAddressing:
      *value = p.unifiedAddressing;
      break;
    case cudaDevAttrPciDomainId:
      *value = p.pciDomainID;
      break;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      break;
    case cudaDevAttrComputeCapabilityMinor:
      *value = p.minor;
      break;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(p.sharedMemPerMultiprocessor);
      break;
    case cudaDevAttrMaxRegistersPerMultiprocessor:
      *value = p.regsPerMultiprocessor;
      break;
    case cudaDevAttrCooperativeLaunch:
      *value = p.cooperativeLaunch;
      break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(p.sharedMemPerBlockOptin);
      break;
    case cudaDevAttrHostRegisterSupported:
      *value = p.hostRegisterSupported;
      break;
    case cudaDevAttrReservedSharedMemoryPerBlock:
      *value = static_cast<int>(p.reservedSharedMemPerBlock);
      break;
    default:
      return record(cudaErrorInvalidValue);
  }
  return cudaSuccess;
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int length, int device) {
  if (!exists(device)) return record(cudaErrorInvalidDevice);
  std::snprintf(text, static_cast<std::size_t>(length), "0000:%02x:00.0", 16 + device);
  return cudaSuccess;
}
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  *least = 0, *greatest = -5;
  return cudaSuccess;
}
cudaError_t cudaDeviceReset() {
  return cudaDeviceSynchronize();
}

cudaError_t cudaMalloc(void** pointer, std::size_t bytes) {
  return allocate_to(pointer, bytes, Kind::device);
}
cudaError_t cudaFree(void* pointer) {
  return free_of(pointer, Kind::device);
}
cudaError_t cudaHostAlloc(void** pointer, std::size_t bytes, unsigned int) {
  return allocate_to(pointer, bytes, Kind::pinned);
}
cudaError_t cudaMallocHost(void** pointer, std::size_t bytes) {
  return allocate_to(pointer, bytes, Kind::pinned);
}
cudaError_t cudaFreeHost(void* pointer) {
  return free_of(pointer, Kind::pinned);
}
cudaError_t cudaHostRegister(void* pointer, std::size_t bytes, unsigned int) {
  const Guard guard = lock();
  if (pointer == nullptr || bytes == 0) return record(cudaErrorInvalidValue);
  return record(register_host(pointer, bytes) ? cudaSuccess : cudaErrorHostMemoryAlreadyRegistered);
}
cudaError_t cudaHostUnregister(void* pointer) {
  const Guard guard = lock();
  drain_all();
  return record(unregister_host(pointer) ? cudaSuccess : cudaErrorHostMemoryNotRegistered);
}
cudaError_t cudaMemGetInfo(std::size_t* free, std::size_t* total) {
  const Guard guard = lock();
  *total = device_bytes();
  *free = *total - std::min(device_bytes_used(), *total);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
  const Guard guard = lock();
  const Allocation* const a = find(pointer);
  void* const p = const_cast<void*>(pointer);
  *attributes = {cudaMemoryTypeUnregistered, -1, nullptr, p};
  if (a != nullptr && a->kind == Kind::device) *attributes = {cudaMemoryTypeDevice, current_device, p, nullptr};
  if (a != nullptr && a->kind == Kind::pinned) *attributes = {cudaMemoryTypeHost, current_device, p, p};
  return cudaSuccess;
}

}  // extern "C"
