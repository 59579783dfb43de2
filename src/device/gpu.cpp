// The way to the GPU: loading the CUDA half, choosing a device, and telling memories apart.
#include "strata/device/gpu.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <vector>

#include "device/cuda_half.hpp"
#include "device/gpu_memory.hpp"
#include "strata/base/error.hpp"
#include "strata/base/version.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

constexpr const char* library_name = "libstrata_cuda.so";

std::vector<std::string> candidates() {
  if (const char* named = std::getenv("STRATA_CUDA_LIBRARY")) return {named};
  std::error_code failed;
  const fs::path program = fs::read_symlink("/proc/self/exe", failed).parent_path();
  return {program / library_name, program / "../lib/strata" / library_name};
}

const CudaHalf& load() {
  std::string tried;
  for (const std::string& path : candidates()) {
    // RTLD_GLOBAL would lend its symbols to libraries that are loaded later.
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      tried += text("\n  ", dlerror());
      continue;
    }
    const auto entry = reinterpret_cast<const CudaHalf* (*)()>(dlsym(library, "strata_cuda_half"));
    if (!entry) throw NotCompiled(text(path, " is not the CUDA half of strata: it has no strata_cuda_half"));
    const CudaHalf& half = *entry();
    if (half.build != build_text())
      throw NotCompiled(
          text(path, " belongs to another build of strata\n  it:           ", half.build, "\n  this program: ", build_text()));
    return half;
  }
  throw NotCompiled(
      text("device.kind = cuda: this program's CUDA half could not be loaded; build with a CUDA toolkit (STRATA_CUDA=ON), or "
           "use device.kind = cpu. Tried:",
           tried));
}

}  // namespace

const CudaHalf& cuda_half() {
  static const CudaHalf& half = load();
  return half;
}

bool cuda_half_installed() {
  if (std::getenv("STRATA_CUDA_LIBRARY")) return true;
  std::error_code failed;
  for (const std::string& path : candidates())
    if (fs::exists(path, failed)) return true;
  return false;
}

std::unique_ptr<Gpu> open_gpu(int local_rank, int local_size) {
  const int devices = cuda_half().devices();
  if (devices == 0)
    throw CapacityError(
        "device.kind = cuda: no GPU on this host, or CUDA_VISIBLE_DEVICES hides all; ask the batch system for one (--gres=gpu:N) "
        "or use device.kind = cpu");
  STRATA_ASSERT(local_rank >= 0 && local_rank < local_size, "rank ", local_rank, " of ", local_size, " on this host");
  // Where ranks share, neighbours do: ranks 0 and 1 of 4 on the first of two.
  return std::unique_ptr<Gpu>(cuda_half().open(devices >= local_size ? local_rank : local_rank * devices / local_size));
}

namespace {

// The GPU that has to copy; null: both are the host's, and it is done.
Gpu* give_copy(void* to, const void* from, std::int64_t bytes) {
  if (bytes == 0) return nullptr;
  Gpu* const target = gpu_of(to);
  Gpu* const gpu = target ? target : gpu_of(from);
  if (gpu)
    gpu->copy(to, from, bytes);
  else
    std::memcpy(to, from, static_cast<std::size_t>(bytes));
  return gpu;
}

}  // namespace

void begin_copy_memory(void* to, const void* from, std::int64_t bytes) {
  give_copy(to, from, bytes);
}

void copy_memory(void* to, const void* from, std::int64_t bytes) {
  if (Gpu* gpu = give_copy(to, from, bytes)) gpu->wait();
}

}  // namespace strata
