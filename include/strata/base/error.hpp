#pragma once
// Errors: what went wrong, in words a user can act on. The class decides the exit code (doc/exit-codes.md).
#include <sstream>
#include <stdexcept>
#include <string>

namespace strata {

/// Concatenates its arguments as `<<` prints them: text("rank ", 3, " of ", 4).
template <class... Args>
std::string text(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return out.str();
}

enum class ExitCode : int { done = 0, internal = 1, usage = 2, data = 3, capacity = 4, diverged = 5, lost = 6, requeue = 75 };

/// Base of all errors thrown by Strata. The message says what was expected, what was found and where.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }
  /// Whether every rank of the job throws this error too, so that all can end in order; otherwise the job must be aborted.
  bool on_all_ranks() const { return on_all_ranks_; }
  void set_on_all_ranks() { on_all_ranks_ = true; }

 private:
  ExitCode code_;
  bool on_all_ranks_ = false;
};

/// The deck, the command line or a combination of settings is wrong. Exit code 2.
struct DeckError : Error {
  explicit DeckError(const std::string& m) : Error(ExitCode::usage, m) {}
};
/// A file (data, weights, tokenizer, checkpoint) is missing, damaged or does not fit the run. Exit code 3.
struct DataError : Error {
  explicit DataError(const std::string& m) : Error(ExitCode::data, m) {}
};
/// Not enough memory, disk or ranks. Exit code 4.
struct CapacityError : Error {
  explicit CapacityError(const std::string& m) : Error(ExitCode::capacity, m) {}
};
/// Loss or gradient is not finite and the policy says stop. Exit code 5.
struct DivergenceError : Error {
  explicit DivergenceError(const std::string& m) : Error(ExitCode::diverged, m) {}
};
/// A rank, node or link is lost or hangs. Exit code 6.
struct CommError : Error {
  explicit CommError(const std::string& m) : Error(ExitCode::lost, m) {}
};
/// A broken invariant: a defect of Strata itself. Exit code 1.
struct InternalError : Error {
  explicit InternalError(const std::string& m) : Error(ExitCode::internal, m) {}
};
/// The feature exists, but this binary was built without it (CUDA, for example). Exit code 2.
struct NotCompiled : Error {
  explicit NotCompiled(const std::string& m) : Error(ExitCode::usage, m) {}
};

/// Throws the class that belongs to `code`, marked as thrown on all ranks if so.
[[noreturn]] void throw_error(ExitCode code, const std::string& message, bool on_all_ranks);

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line, const std::string& message);

}  // namespace strata

/// Throws InternalError with the failed expression, file and line. For broken invariants, never for bad input.
#define STRATA_ASSERT(expression, ...)                                                                           \
  do {                                                                                                           \
    if (!(expression)) ::strata::assertion_failed(#expression, __FILE__, __LINE__, ::strata::text(__VA_ARGS__)); \
  } while (false)
