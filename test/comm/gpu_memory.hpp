#pragma once
// Memory of either kind for tests of communicators, and the emulated GPU of a rank.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "strata/comm/gpu_communicator.hpp"
#include "strata/device/arena.hpp"

namespace strata::test {

using Bytes = std::vector<unsigned char>;

/// The GPU of this rank: the emulation (or what STRATA_CUDA_LIBRARY names). Ranks share the first where there are too few.
inline std::unique_ptr<Gpu> rank_gpu(const Communicator& comm) {
  if (const char* emulated = std::getenv("STRATA_CUDA_EMULATED")) setenv("STRATA_CUDA_LIBRARY", emulated, 0);
  return open_gpu(comm.local_rank(), comm.local_size());
}

/// Bytes on a GPU, or the host's where `gpu` is null. On a GPU they are on their way when this returns, and no more.
class Placed {
 public:
  Placed(Gpu* gpu, Bytes bytes) : host_(std::move(bytes)) {
    if (!gpu || host_.empty()) return;
    device_.emplace(*gpu, static_cast<std::int64_t>(host_.size()));
    begin_copy_memory(device_->memory(), host_.data(), static_cast<std::int64_t>(host_.size()));
  }
  template <class T>
  Placed(Gpu* gpu, const std::vector<T>& values) : Placed(gpu, bytes_of(values)) {}
  void* data() { return device_ ? device_->memory() : host_.data(); }
  template <class T>
  T* as() {
    return static_cast<T*>(data());
  }
  Bytes read() {
    if (device_) copy_memory(host_.data(), device_->memory(), static_cast<std::int64_t>(host_.size()));
    return host_;
  }
  template <class T>
  static Bytes bytes_of(const std::vector<T>& values) {
    Bytes bytes(values.size() * sizeof(T));
    std::memcpy(bytes.data(), values.data(), bytes.size());
    return bytes;
  }

 private:
  Bytes host_;
  std::optional<Arena> device_;
};

}  // namespace strata::test
