#pragma once
// Device log: the use of a host's devices while a run lasts, in a file of the run's folder.
#include <filesystem>
#include <memory>
#include <string>

namespace strata {

/// A thread that appends a line per device every `every` seconds, and once more at the end. It touches neither MPI nor the run, and a file
/// that cannot be written ends it with a warning. Local.
class DeviceLog {
 public:
  DeviceLog(const std::filesystem::path& file, const std::string& host, double every);
  ~DeviceLog();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata
