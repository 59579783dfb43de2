// Copies and fills. From and to pageable memory they are staged as CUDA does it: read at the call, written before the call returns.
#include <cstring>
#include <optional>

#include "emulation/host_calls.hpp"
#include "emulation/run.hpp"
#include "errors.hpp"
#include "memory.hpp"
#include "stream.hpp"

using namespace emulation;

namespace {

struct Plane {
  char* data;
  std::size_t pitch;
  Kind kind = Kind::pageable;
};

struct Copy {
  Plane to, from;
  std::size_t width, height;
};

void run(const Copy& copy) {
  for (std::size_t row = 0; row < copy.height; ++row) {
    std::memmove(copy.to.data + row * copy.to.pitch, copy.from.data + row * copy.from.pitch, copy.width);
  }
}

// Finds whose memory it is; false where it leaves its allocation.
bool classify(Plane& plane, std::size_t width, std::size_t height) {
  const Allocation* const a = find(plane.data);
  if (a == nullptr) return find_near(plane.data) == nullptr;
  plane.kind = a->kind;
  return plane.data + (height - 1) * plane.pitch + width <= a->begin + a->bytes;
}

bool direction_fits(cudaMemcpyKind kind, bool to_device, bool from_device) {
  switch (kind) {
    case cudaMemcpyHostToHost:
      return !to_device && !from_device;
    case cudaMemcpyHostToDevice:
      return to_device && !from_device;
    case cudaMemcpyDeviceToHost:
      return !to_device && from_device;
    case cudaMemcpyDeviceToDevice:
      return to_device && from_device;
    case cudaMemcpyDefault:
      return true;
  }
  return false;
}

std::optional<cudaError_t> check(Copy& copy, cudaMemcpyKind kind) {
  if (copy.width == 0 || copy.height == 0) return cudaSuccess;
  if (copy.width > copy.to.pitch || copy.width > copy.from.pitch) return cudaErrorInvalidValue;
  if (!classify(copy.to, copy.width, copy.height) || !classify(copy.from, copy.width, copy.height)) return cudaErrorInvalidValue;
  if (!direction_fits(kind, copy.to.kind == Kind::device, copy.from.kind == Kind::device)) return cudaErrorInvalidValue;
  return std::nullopt;
}

cudaError_t copy_async(Copy copy, cudaMemcpyKind kind, cudaStream_t stream) {
  if (const auto done = check(copy, kind)) return *done;
  const bool from_pageable = copy.from.kind == Kind::pageable, to_pageable = copy.to.kind == Kind::pageable;
  // A capture takes the addresses (NVIDIA's sample simpleCudaGraphs copies to a variable of the host's stack so), for each launch.
  if ((from_pageable || to_pageable) && is_capturing(stream)) return submit(stream, Work{"copy", nullptr, [copy] { run(copy); }});
  if (from_pageable && !to_pageable) {
    auto staged = std::make_shared<std::vector<char>>(copy.width * copy.height);
    run({{staged->data(), copy.width}, copy.from, copy.width, copy.height});
    return submit(stream, Work{"copy", nullptr, [copy, staged] { run({copy.to, {staged->data(), copy.width}, copy.width, copy.height}); }});
  }
  const cudaError_t error = submit(stream, Work{"copy", nullptr, [copy] { run(copy); }});
  if (error == cudaSuccess && to_pageable) drain(stream);
  return error;
}

}  // namespace

extern "C" {

cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind) {
  const Guard guard = lock();
  if (const auto error = unsafe_in_capture()) return record(error);
  Copy copy{{static_cast<char*>(to), bytes}, {static_cast<char*>(const_cast<void*>(from)), bytes}, bytes, 1};
  if (const auto done = check(copy, kind)) return record(*done);
  drain_blocking();
  const Open open;
  run(copy);
  return record(cudaSuccess);
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  const Guard guard = lock();
  return record(
      copy_async({{static_cast<char*>(to), bytes}, {static_cast<char*>(const_cast<void*>(from)), bytes}, bytes, 1}, kind, stream));
}

cudaError_t cudaMemcpy2DAsync(void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch, std::size_t width,
                              std::size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
  const Guard guard = lock();
  if (width > to_pitch || width > from_pitch) return record(cudaErrorInvalidValue);  // CUDA says invalid pitch; Strata asks for neither
  return record(copy_async({{static_cast<char*>(to), to_pitch}, {static_cast<char*>(const_cast<void*>(from)), from_pitch}, width, height},
                           kind, stream));
}

cudaError_t cudaMemsetAsync(void* to, int byte, std::size_t bytes, cudaStream_t stream) {
  const Guard guard = lock();
  if (bytes == 0) return record(cudaSuccess);
  if (!is_device_memory(to, bytes)) return record(cudaErrorInvalidValue);
  return record(submit(stream, Work{"memset", nullptr, [=] { std::memset(to, byte, bytes); }}));
}

cudaError_t cudaMemset2DAsync(void* to, std::size_t pitch, int byte, std::size_t width, std::size_t height, cudaStream_t stream) {
  const Guard guard = lock();
  if (width == 0 || height == 0) return record(cudaSuccess);
  if (width > pitch || !is_device_memory(to, (height - 1) * pitch + width)) return record(cudaErrorInvalidValue);
  return record(submit(stream, Work{"memset", nullptr, [=] {
                                      for (std::size_t row = 0; row < height; ++row)
                                        std::memset(static_cast<char*>(to) + row * pitch, byte, width);
                                    }}));
}

cudaError_t cudaMemset(void* to, int byte, std::size_t bytes) {
  const Guard guard = lock();
  if (const auto error = unsafe_in_capture()) return record(error);
  if (bytes == 0) return record(cudaSuccess);
  if (!is_device_memory(to, bytes)) return record(cudaErrorInvalidValue);
  drain_blocking();
  const Open open;
  std::memset(to, byte, bytes);
  return record(cudaSuccess);
}

}  // extern "C"
