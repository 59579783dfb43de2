#include "strata/device/compute_device.hpp"

#include "device/cuda_half.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"

namespace strata {

AutoDevice auto_device(int local_rank, int local_size) {
  AutoDevice found;
  if (!cuda_half_installed()) return found;
  try {
    if (cuda_half().devices() == 0) return found;
    open_gpu(local_rank, local_size);
    found.kind = DeviceKind::cuda;
  } catch (const Error& e) {
    const std::string asked = "device.kind = cuda: ";
    found.why_not = e.what();
    if (found.why_not.rfind(asked, 0) == 0) found.why_not.erase(0, asked.size());
  }
  return found;
}

DeviceKind resolve_device(const std::string& kind) {
  if (kind == "cuda") return DeviceKind::cuda;
  if (kind == "cpu") return DeviceKind::cpu;
  STRATA_ASSERT(kind == "auto", "device.kind = ", kind);
  return auto_device(0, 1).kind;
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
