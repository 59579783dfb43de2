// Use of processors from /proc, of GPUs by NVML.
#include "strata/device/use.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>

namespace strata {
namespace {

/// Ticks of all processors since the host's start.
struct Ticks {
  double busy = 0, all = 0;
};

// user nice system idle iowait irq softirq steal
Ticks ticks_now() {
  std::ifstream file("/proc/stat");
  std::string word;
  file >> word;
  std::array<double, 8> of{};
  for (double& value : of)
    if (!(file >> value)) value = 0;
  Ticks ticks;
  for (const double value : of) ticks.all += value;
  ticks.busy = ticks.all - of[3] - of[4];
  return ticks;
}

// What cannot be had without swapping counts as used.
void read_memory(DeviceUse& use) {
  std::ifstream file("/proc/meminfo");
  std::int64_t available = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name;
    std::int64_t kib = 0;
    words >> name >> kib;
    if (name == "MemTotal:") use.memory_total = kib * 1024;
    if (name == "MemAvailable:") available = kib * 1024;
  }
  use.memory_used = use.memory_total - available;
}

}  // namespace

/// The functions of nvml.h that are needed, with its structs (version 2 of the interface, as drivers since 2013 have it).
struct DeviceUseReader::Nvml {
  using Device = void*;
  struct Utilization {
    unsigned gpu, memory;  // percent
  };
  struct Memory {
    unsigned long long total, free, used;
  };
  void* library = nullptr;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*count)(unsigned*) = nullptr;
  int (*handle)(unsigned, Device*) = nullptr;
  int (*utilization)(Device, Utilization*) = nullptr;
  int (*memory)(Device, Memory*) = nullptr;
  std::vector<Device> devices;

  template <class Function>
  bool find(Function& function, const char* name) {
    function = reinterpret_cast<Function>(dlsym(library, name));
    return function != nullptr;
  }

  bool open(const std::string& name) {
    library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library || !find(init, "nvmlInit_v2") || !find(shutdown, "nvmlShutdown") || !find(count, "nvmlDeviceGetCount_v2") ||
        !find(handle, "nvmlDeviceGetHandleByIndex_v2") || !find(utilization, "nvmlDeviceGetUtilizationRates") ||
        !find(memory, "nvmlDeviceGetMemoryInfo"))
      return false;
    if (init() != 0) return false;
    unsigned many = 0;
    if (count(&many) != 0) many = 0;
    for (unsigned i = 0; i < many; ++i) {
      Device device = nullptr;
      devices.push_back(handle(i, &device) == 0 ? device : nullptr);
    }
    return true;
  }
  void close() {
    if (library) dlclose(library);
    library = nullptr;
  }
};

DeviceUseReader::DeviceUseReader(const std::string& nvml) : nvml_(std::make_unique<Nvml>()) {
  if (!nvml_->open(nvml)) nvml_->close(), nvml_.reset();
  const Ticks now = ticks_now();
  busy_ = now.busy, all_ = now.all;
}

DeviceUseReader::~DeviceUseReader() {
  if (nvml_) nvml_->shutdown(), nvml_->close();
}

std::vector<DeviceUse> DeviceUseReader::read() {
  std::vector<DeviceUse> uses(1);
  const Ticks now = ticks_now();
  uses[0].device = "cpu", uses[0].busy = now.all > all_ ? std::clamp((now.busy - busy_) / (now.all - all_), 0.0, 1.0) : 0;
  busy_ = now.busy, all_ = now.all;
  read_memory(uses[0]);
  for (std::size_t i = 0; nvml_ && i < nvml_->devices.size(); ++i) {
    Nvml::Utilization part{};
    Nvml::Memory memory{};
    if (!nvml_->devices[i] || nvml_->utilization(nvml_->devices[i], &part) != 0 || nvml_->memory(nvml_->devices[i], &memory) != 0) continue;
    uses.push_back(
        {"cuda:" + std::to_string(i), part.gpu / 100.0, static_cast<std::int64_t>(memory.used), static_cast<std::int64_t>(memory.total)});
  }
  return uses;
}

std::string device_use_line(const std::string& time, const std::string& host, const DeviceUse& use) {
  char numbers[80];
  std::snprintf(numbers, sizeof numbers, ",%.1f,%lld,%lld", 100 * use.busy, static_cast<long long>(use.memory_used),
                static_cast<long long>(use.memory_total));
  return time + "," + host + "," + use.device + numbers;
}

}  // namespace strata
