#pragma once
// Use of a host's devices, whoever uses them: its processors, and NVIDIA GPUs where the driver tells.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace strata {

struct DeviceUse {
  std::string device;                              // "cpu" or "cuda:0"
  double busy = 0;                                 // share of the time since the last look (of a GPU: of the driver's own period), 0 to 1
  std::int64_t memory_used = 0, memory_total = 0;  // [bytes]
};

/// Looks at /proc, and at GPUs through the driver's own library (NVML), which is opened by name: nothing is needed to build, and where it
/// is missing or finds no GPU there are none. Local; not for several threads at once.
class DeviceUseReader {
 public:
  /// `nvml`: the driver's library; the default is what it is called.
  explicit DeviceUseReader(const std::string& nvml = "libnvidia-ml.so.1");
  ~DeviceUseReader();
  DeviceUseReader(const DeviceUseReader&) = delete;
  DeviceUseReader& operator=(const DeviceUseReader&) = delete;
  /// The first look counts from the reader's construction. What cannot be read is left out.
  std::vector<DeviceUse> read();

 private:
  struct Nvml;
  std::unique_ptr<Nvml> nvml_;  // null: no GPU
  double busy_ = 0, all_ = 0;   // ticks of the processors so far
};

/// "2026-11-22 01:02:03,node7,cuda:0,98.5,12884901888,85899345920": a line of device_use.csv.
std::string device_use_line(const std::string& time, const std::string& host, const DeviceUse& use);
constexpr const char* device_use_header = "time,host,device,busy_percent,memory_used_bytes,memory_total_bytes";

}  // namespace strata
