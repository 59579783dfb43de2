#pragma once
// The log: everything said, with times, to standard error and to <run folder>/log.txt. Standard output is left to results.
#include <string>

namespace strata {

enum class LogLevel { info, warning, error };

/// Process-wide log. Only the rank that is told to speak does (rank 0 by default); errors always do.
class Log {
 public:
  /// Whether this process prints info and warnings (rank 0 does). Prefix is put before errors of other ranks, as in "[rank 3] ".
  static void configure(bool speaks, std::string prefix);
  /// Appends everything said from now on to this file as well; an empty path closes it.
  static void open_file(const std::string& path);
  /// Cuts a moving progress line before the next message, so that lines never mix.
  static void progress_line(const std::string& line);
  static void say(LogLevel level, const std::string& message);
  /// To the file only: what the terminal's progress line shows already.
  static void record(const std::string& message);
};

inline void log_info(const std::string& message) {
  Log::say(LogLevel::info, message);
}
inline void log_warning(const std::string& message) {
  Log::say(LogLevel::warning, message);
}
inline void log_error(const std::string& message) {
  Log::say(LogLevel::error, message);
}

}  // namespace strata
