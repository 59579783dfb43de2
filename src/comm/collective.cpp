// Texts over ranks, and the guard that makes an error of one rank an error of all.
#include <numeric>

#include "strata/base/error.hpp"
#include "strata/comm/communicator.hpp"

namespace strata {
namespace {
[[noreturn]] void rethrow_as(ExitCode code, const std::string& message) {
  switch (code) {
    case ExitCode::usage: throw DeckError(message);
    case ExitCode::data: throw DataError(message);
    case ExitCode::capacity: throw CapacityError(message);
    case ExitCode::diverged: throw DivergenceError(message);
    case ExitCode::lost: throw CommError(message);
    default: throw InternalError(message);
  }
}
}  // namespace

std::string broadcast_text(Communicator& comm, const std::string& text, int root) {
  std::uint64_t size = text.size();
  comm.broadcast(&size, sizeof size, root);
  std::string result = text;
  result.resize(size);
  comm.broadcast(result.data(), size, root);
  return result;
}

std::vector<std::string> all_gather_text(Communicator& comm, const std::string& text) {
  std::vector<std::size_t> sizes(static_cast<std::size_t>(comm.size()));
  const std::size_t mine = text.size();
  comm.all_gather(&mine, sizeof mine, sizes.data());
  std::string all(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}), '\0');
  comm.all_gather_v(text.data(), sizes, all.data());
  std::vector<std::string> result;
  for (std::size_t at = 0; std::size_t size : sizes) result.push_back(all.substr(at, size)), at += size;
  return result;
}

void guarded(Communicator& comm, const std::function<void()>& work) {
  std::exception_ptr error;
  ExitCode code = ExitCode::done;
  std::string message;
  try {
    work();
  } catch (const Error& e) {
    error = std::current_exception(), code = e.code(), message = e.what();
  } catch (const std::bad_alloc&) {
    error = std::current_exception(), code = ExitCode::capacity, message = "out of memory";
  } catch (const std::exception& e) {
    error = std::current_exception(), code = ExitCode::internal, message = e.what();
  }
  const std::int64_t first = comm.all_min(error ? comm.rank() : comm.size());
  if (first == comm.size()) return;
  const std::string first_message = broadcast_text(comm, message, static_cast<int>(first));
  int first_code = static_cast<int>(code);
  comm.broadcast(&first_code, sizeof first_code, static_cast<int>(first));
  if (comm.size() == 1 || (error && comm.rank() == first)) std::rethrow_exception(error);
  rethrow_as(static_cast<ExitCode>(first_code), text("rank ", first, ": ", first_message));
}

}  // namespace strata
