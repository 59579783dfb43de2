#include "strata/train/device_log.hpp"

#include <chrono>
#include <condition_variable>
#include <fstream>
#include <mutex>
#include <thread>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/base/log.hpp"
#include "strata/device/use.hpp"

namespace strata {

struct DeviceLog::State {
  std::filesystem::path file;
  std::string host;
  double every;
  DeviceUseReader reader;
  std::mutex mutex;
  std::condition_variable ending;
  bool ends = false;
  std::thread thread;  // last: it reads the members above

  // False: the file cannot be written.
  bool append() {
    std::error_code unknown;
    const auto size = std::filesystem::file_size(file, unknown);
    std::string lines = unknown || size == 0 ? std::string(device_use_header) + "\n" : "";
    const std::string now = wall_clock_text();
    for (const DeviceUse& use : reader.read()) lines += device_use_line(now, host, use) + "\n";
    std::ofstream out(file, std::ios::app);
    return static_cast<bool>(out << lines << std::flush);
  }

  void work() {
    for (bool last = false; !last;) {
      {
        std::unique_lock lock(mutex);
        ending.wait_for(lock, std::chrono::duration<double>(every), [&] { return ends; });
        last = ends;
      }
      if (append()) continue;
      log_warning(text(file.string(), " cannot be written: the use of devices is logged no more"));
      return;
    }
  }
};

DeviceLog::DeviceLog(const std::filesystem::path& file, const std::string& host, double every) : state_(std::make_unique<State>()) {
  state_->file = file, state_->host = host, state_->every = every;
  state_->thread = std::thread([state = state_.get()] { state->work(); });
}

DeviceLog::~DeviceLog() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->ends = true;
  }
  state_->ending.notify_one();
  state_->thread.join();
}

}  // namespace strata
