#pragma once
// What a run computes on: the cores of the host, or a GPU with the cores beside it.
#include <memory>
#include <optional>
#include <string>

#include "strata/device/gpu.hpp"
#include "strata/device/stream.hpp"

namespace strata {

/// What device.kind = auto takes: cuda where this program's CUDA half can be loaded and opens the GPU of this rank, else cpu.
struct AutoDevice {
  DeviceKind kind = DeviceKind::cpu;
  std::string why_not;  // the CUDA half is there and cannot be used; empty: it can, or there is no such half, or no GPU
};
/// For rank `local_rank` of the `local_size` ranks of this host. Local.
AutoDevice auto_device(int local_rank, int local_size);

/// The kind that device.kind asks for. Local.
DeviceKind resolve_device(const std::string& kind);

class ComputeDevice {
 public:
  /// `threads` of the host; on cuda the GPU of rank `local_rank` of `local_size` (open_gpu). Throws NotCompiled, CapacityError.
  ComputeDevice(DeviceKind kind, int threads, int local_rank, int local_size);

  DeviceKind kind() const { return gpu_ ? DeviceKind::cuda : DeviceKind::cpu; }
  ThreadPool& pool() { return pool_; }
  Gpu* gpu() const { return gpu_.get(); }
  /// An arena of exactly what a planning arena has counted. Throws CapacityError.
  Arena arena(std::int64_t bytes, std::int64_t host_bytes);
  Stream stream(Arena& arena, std::int64_t workspace_bytes);
  /// Without an arena: what it needs grows as asked.
  Stream stream();
  /// "cpu", or "cuda: NVIDIA H200, GPU 0 of 8, 139.8 GiB, sm_90, driver 13.0".
  std::string describe() const;

 private:
  ThreadPool pool_;
  std::unique_ptr<Gpu> gpu_;
};

}  // namespace strata
