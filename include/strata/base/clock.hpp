#pragma once
// Time: a monotonic stopwatch and the wall clock as text. Never used for anything that decides a result.
#include <chrono>
#include <string>

namespace strata {

class Stopwatch {
 public:
  /// Seconds since construction or the last restart. [s]
  double seconds() const { return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count(); }
  void restart() { start_ = std::chrono::steady_clock::now(); }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// "2026-11-21 12:34:56", local time.
std::string wall_clock_text();
/// "12:05" or "3:12:05" for a duration in seconds.
std::string duration_text(double seconds);
/// "1.43 GB", "512.0 MB": powers of ten, as disks and PyTorch's logs are quoted.
std::string bytes_text(double bytes);

}  // namespace strata
