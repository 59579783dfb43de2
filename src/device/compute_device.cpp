#include "strata/device/compute_device.hpp"

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"

namespace strata {

DeviceKind resolve_device(const std::string& kind) {
  if (kind == "cuda") return DeviceKind::cuda;
  if (kind == "cpu") return DeviceKind::cpu;
  STRATA_ASSERT(kind == "auto", "device.kind = ", kind);
  try {
    return cuda_half().devices() > 0 ? DeviceKind::cuda : DeviceKind::cpu;
  } catch (const Error&) {  // no CUDA half, no driver: what the host has is the best
    return DeviceKind::cpu;
  }
}

ComputeDevice::ComputeDevice(DeviceKind kind, int threads, int local_rank, int local_size)
    : pool_(threads), gpu_(kind == DeviceKind::cuda ? open_gpu(local_rank, local_size) : nullptr) {}

Arena ComputeDevice::arena(std::int64_t bytes, std::int64_t host_bytes) {
  return gpu_ ? Arena(*gpu_, bytes, host_bytes) : Arena(bytes);
}

Stream ComputeDevice::stream(Arena& arena, std::int64_t workspace_bytes) {
  return gpu_ ? Stream::cuda(*gpu_, pool_, arena, workspace_bytes) : Stream::cpu(pool_, arena, workspace_bytes);
}

Stream ComputeDevice::stream() {
  return gpu_ ? Stream::cuda(*gpu_, pool_) : Stream::cpu(pool_);
}

std::string ComputeDevice::describe() const {
  if (!gpu_) return "cpu";
  const GpuFacts& f = gpu_->facts();
  return text("cuda: ", f.name, ", GPU ", f.device, " of ", f.devices, ", ", bytes_text(static_cast<double>(f.memory_bytes)), ", sm_",
              f.major, f.minor, ", CUDA ", f.runtime / 1000, ".", f.runtime % 1000 / 10, ", driver for ", f.driver / 1000, ".",
              f.driver % 1000 / 10);
}

}  // namespace strata
