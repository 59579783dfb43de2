#include "strata/base/error.hpp"

namespace strata {

void assertion_failed(const char* expression, const char* file, int line, const std::string& message) {
  throw InternalError(text("internal error: ", message.empty() ? "an invariant does not hold" : message, " (", expression, " at ", file, ":", line,
                           "); please report this with the log"));
}

}  // namespace strata
