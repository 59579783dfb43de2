#include "strata/base/error.hpp"

namespace strata {
namespace {
template <class E>
[[noreturn]] void throw_as(const std::string& message, bool on_all_ranks) {
  E error(message);
  if (on_all_ranks) error.set_on_all_ranks();
  throw error;
}
}  // namespace

void throw_error(ExitCode code, const std::string& message, bool on_all_ranks) {
  switch (code) {
    case ExitCode::usage:
      throw_as<DeckError>(message, on_all_ranks);
    case ExitCode::data:
      throw_as<DataError>(message, on_all_ranks);
    case ExitCode::capacity:
      throw_as<CapacityError>(message, on_all_ranks);
    case ExitCode::diverged:
      throw_as<DivergenceError>(message, on_all_ranks);
    case ExitCode::lost:
      throw_as<CommError>(message, on_all_ranks);
    default:
      throw_as<InternalError>(message, on_all_ranks);
  }
}

void assertion_failed(const char* expression, const char* file, int line, const std::string& message) {
  throw InternalError(text("internal error: ", message.empty() ? "an invariant does not hold" : message, " (", expression, " at ", file,
                           ":", line, "); please report this with the log"));
}

}  // namespace strata
