// Texts over ranks, and the guard that makes an error of one rank an error of all.
#include <cstdlib>
#include <filesystem>
#include <numeric>

#include "strata/base/error.hpp"
#include "strata/comm/communicator.hpp"

namespace strata {

bool launched() {
  for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK", "SLURM_STEP_ID"})
    if (std::getenv(name)) return true;
  return false;
}

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
  int code = 0;
  std::string message;
  try {
    work();
  } catch (const Error& e) {
    code = static_cast<int>(e.code()), message = e.what();
  } catch (const std::bad_alloc&) {
    code = static_cast<int>(ExitCode::capacity), message = "out of memory";
  } catch (const std::filesystem::filesystem_error& e) {  // a path that cannot be looked at: no permission, a name too long
    code = static_cast<int>(ExitCode::data), message = e.what();
  } catch (const std::exception& e) {
    code = static_cast<int>(ExitCode::internal), message = e.what();
  }
  const std::int64_t failed = comm.all_sum(code != 0);
  if (failed == 0) return;
  const auto first = static_cast<int>(comm.all_min(code != 0 ? comm.rank() : comm.size()));
  message = broadcast_text(comm, message, first);
  comm.broadcast(&code, sizeof code, first);
  // What fails on every rank is no rank's own fault.
  throw_error(static_cast<ExitCode>(code),
              failed == comm.size() ? message : text("rank ", first, " on ", comm.host_of(first), ": ", message), true);
}

}  // namespace strata
