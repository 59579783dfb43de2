#include "strata/device/arena.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include "device/gpu_memory.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"

namespace strata {

namespace {

constexpr std::int64_t unlimited = std::numeric_limits<std::int64_t>::max();

// A whole number in a file; unlimited where there is none ("max", no such file).
std::int64_t number_in(const std::string& path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  return file >> value ? value : unlimited;
}

// What the control groups above this process leave (batch systems and containers limit memory so): version 2, and version 1's memory
// controller.
std::int64_t cgroup_memory_bytes() {
  std::int64_t least = unlimited;
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const bool v2 = line.rfind("0::", 0) == 0, v1 = line.find(":memory:") != std::string::npos;
    if (!v2 && !v1) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    for (std::string path = line.substr(line.rfind(':') + 1);; path = path.substr(0, path.rfind('/'))) {
      const std::string folder = root + (path == "/" ? "" : path);
      const std::int64_t limit = number_in(folder + (v2 ? "/memory.max" : "/memory.limit_in_bytes")),
                         used = number_in(folder + (v2 ? "/memory.current" : "/memory.usage_in_bytes"));
      if (limit != unlimited && used != unlimited) least = std::min(least, std::max<std::int64_t>(0, limit - used));
      if (path.empty() || path == "/") break;
    }
  }
  return least;
}

}  // namespace

std::int64_t available_memory_bytes() {
  std::int64_t available = unlimited;  // a kernel that does not say
  std::ifstream file("/proc/meminfo");
  for (std::string name; file >> name;) {
    std::int64_t kilobytes = 0;
    if (name == "MemAvailable:" && file >> kilobytes) available = kilobytes * 1024;
  }
  return std::min(available, cgroup_memory_bytes());
}

const char* name_of(DeviceKind kind) {
  switch (kind) {
    case DeviceKind::cpu:
      return "cpu";
    case DeviceKind::cuda:
      return "cuda";
    default:
      return "plan";
  }
}

Arena::Arena(std::int64_t bytes) : capacity_((std::max<std::int64_t>(bytes, 1) + alignment - 1) / alignment * alignment) {
  void* memory = mmap(nullptr, static_cast<std::size_t>(capacity_), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    throw CapacityError(text("cannot allocate ", bytes_text(static_cast<double>(capacity_)),
                             " of memory for this rank; lower batch.micro or data.sequence, or use fewer ranks per host"));
  madvise(memory, static_cast<std::size_t>(capacity_), MADV_HUGEPAGE);  // a hint; refused hints cost speed only
  base_ = static_cast<unsigned char*>(memory);
}

Arena::Arena(Gpu& gpu, std::int64_t bytes, std::int64_t host_bytes)
    : capacity_((std::max<std::int64_t>(bytes - host_bytes, 1) + alignment - 1) / alignment * alignment),
      host_capacity_(host_bytes),
      gpu_(&gpu) {
  base_ = static_cast<unsigned char*>(gpu.allocate(capacity_));
  register_gpu_memory(gpu, base_, capacity_);
  if (host_bytes == 0) return;
  try {
    host_base_ = static_cast<unsigned char*>(gpu.allocate_host(host_bytes));
  } catch (...) {
    free();
    throw;
  }
}

Arena::~Arena() {
  free();
}

void Arena::free() {
  if (!base_ || !owns_) return;
  if (!gpu_) {
    munmap(base_, static_cast<std::size_t>(capacity_));
    return;
  }
  forget_gpu_memory(base_);
  gpu_->release(base_);
  if (host_base_) gpu_->release_host(host_base_);
}

Arena::Arena(Arena&& other) noexcept
    : base_(std::exchange(other.base_, nullptr)),
      host_base_(std::exchange(other.host_base_, nullptr)),
      capacity_(other.capacity_),
      host_capacity_(other.host_capacity_),
      used_(other.used_),
      host_used_(other.host_used_),
      owns_(other.owns_),
      gpu_(other.gpu_),
      entries_(std::move(other.entries_)) {}

void* Arena::take(const std::string& name, std::int64_t bytes) {
  STRATA_ASSERT(bytes >= 0, name, " asks for ", bytes, " bytes");
  const std::int64_t rounded = (bytes + alignment - 1) / alignment * alignment;
  const bool host = name.rfind("host.", 0) == 0, apart = host && gpu_;
  // Where it begins in its own memory.
  const std::int64_t at = apart ? host_used_ : gpu_ ? used_ - host_used_ : used_, room = apart ? host_capacity_ : capacity_;
  STRATA_ASSERT(planning() || at + rounded <= room, name, " was not planned: ", rounded, " bytes beyond ", at, " of ", room);
  used_ += rounded;
  if (host) host_used_ += rounded;
  entries_.push_back({name, rounded});
  return planning() ? nullptr : (apart ? host_base_ : base_) + at;
}

std::vector<ArenaEntry> Arena::summary(int depth) const {
  std::vector<ArenaEntry> groups;
  for (const ArenaEntry& entry : entries_) {
    std::size_t cut = 0;
    for (int part = 0; part < depth && cut != std::string::npos; ++part) cut = entry.name.find('.', part ? cut + 1 : 0);
    const std::string group = entry.name.substr(0, cut);
    auto found = std::find_if(groups.begin(), groups.end(), [&](const ArenaEntry& g) { return g.name == group; });
    if (found == groups.end())
      groups.push_back({group, entry.bytes});
    else
      found->bytes += entry.bytes;
  }
  return groups;
}

}  // namespace strata
