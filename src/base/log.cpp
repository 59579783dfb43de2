#include "strata/base/log.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace {
struct State {
  std::mutex mutex;
  bool speaks = true;
  std::string prefix;
  std::FILE* file = nullptr;
  bool moving_line = false;
};
State& state() {
  static State s;
  return s;
}
void write_to_file(const State& s, const char* mark, const std::string& message) {
  if (!s.file) return;
  std::fprintf(s.file, "%s  %s%s%s\n", wall_clock_text().c_str(), s.prefix.c_str(), mark, message.c_str());
  std::fflush(s.file);
}
void clear_moving_line(State& s) {
  if (s.moving_line) std::fputs("\r\033[K", stderr);
  s.moving_line = false;
}
}  // namespace

void Log::configure(bool speaks, std::string prefix) {
  State& s = state();
  std::lock_guard lock(s.mutex);
  s.speaks = speaks;
  s.prefix = std::move(prefix);
}

void Log::open_file(const std::string& path) {
  State& s = state();
  std::lock_guard lock(s.mutex);
  if (s.file) std::fclose(s.file);
  s.file = nullptr;
  if (path.empty()) return;
  s.file = std::fopen(path.c_str(), "a");
  if (!s.file) throw DataError(text("cannot open the log file ", path, ": ", std::strerror(errno)));
}

void Log::progress_line(const std::string& line) {
  State& s = state();
  std::lock_guard lock(s.mutex);
  if (!s.speaks) return;
  std::fprintf(stderr, "\r\033[K%s", line.c_str());
  std::fflush(stderr);
  s.moving_line = true;
}

void Log::say(LogLevel level, const std::string& message) {
  State& s = state();
  std::lock_guard lock(s.mutex);
  if (!s.speaks && level != LogLevel::error) return;
  const char* mark = level == LogLevel::warning ? "warning: " : level == LogLevel::error ? "error: " : "";
  clear_moving_line(s);
  std::fprintf(stderr, "%s%s%s\n", s.prefix.c_str(), mark, message.c_str());
  write_to_file(s, mark, message);
}

void Log::record(const std::string& message) {
  State& s = state();
  std::lock_guard lock(s.mutex);
  if (s.speaks) write_to_file(s, "", message);
}

}  // namespace strata
