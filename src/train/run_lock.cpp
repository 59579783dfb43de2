// The lock is an open file description's (F_OFD_SETLK): unlike a process's lock it survives other opens and closes of the file.
#include "strata/train/run_lock.hpp"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

std::string host_name() {
  char name[256] = {};
  gethostname(name, sizeof name - 1);
  return name;
}

// When a process began, in the kernel's ticks since the machine's start: with it a process number is not mistaken for a later process's.
std::string start_of(long pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const std::size_t name_end = line.rfind(')');
  if (name_end == std::string::npos) return "";
  std::istringstream fields(line.substr(name_end + 1));
  std::string field;
  for (int i = 3; i <= 22; ++i) fields >> field;
  return field;
}

// "host = n1\npid = 12\n..." as words.
std::map<std::string, std::string> fields_of(const std::string& holder) {
  std::map<std::string, std::string> fields;
  std::istringstream lines(holder);
  for (std::string line; std::getline(lines, line);)
    if (const std::size_t at = line.find(" = "); at != std::string::npos) fields[line.substr(0, at)] = line.substr(at + 3);
  return fields;
}

std::string field(const std::map<std::string, std::string>& fields, const char* name) {
  const auto at = fields.find(name);
  return at == fields.end() ? "unknown" : at->second;
}

[[noreturn]] void refuse(const fs::path& path, const std::string& holder) {
  const auto fields = fields_of(holder);
  const std::string host = field(fields, "host"), pid = field(fields, "pid");
  throw DeckError(text("run.folder = ", path.parent_path().string(), ": another run is at work in this folder: process ", pid, " on host ",
                       host, ", since ", field(fields, "since"), ". Wait for it, or give this run another run.folder; 'ps ", pid, "' on ",
                       host, " shows whether it is alive, and SIGUSR1 to it (or to its mpirun) makes it save and leave"));
}

// The newest change of a run's news from its ranks.
fs::file_time_type newest_news(const fs::path& folder) {
  fs::file_time_type newest = fs::file_time_type::min();
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / ".ranks", ignored))
    newest = std::max(newest, entry.last_write_time(ignored));
  return newest;
}

}  // namespace

bool lock_holder_runs_here(const std::string& holder) {
  const auto fields = fields_of(holder);
  if (field(fields, "host") != host_name()) return false;
  const long pid = std::strtol(field(fields, "pid").c_str(), nullptr, 10);
  return pid > 0 && ::kill(static_cast<pid_t>(pid), 0) == 0 && start_of(pid) == field(fields, "start");
}

RunLock::RunLock(const fs::path& folder, double grace, double patience)
    : path_(folder / "lock"), descriptor_(::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) throw DataError(text(path_.string(), ": cannot make the run's lock file: ", std::strerror(errno)));
  std::string holder(4096, '\0');
  const ssize_t bytes = ::pread(descriptor_, holder.data(), holder.size(), 0);
  holder.resize(bytes > 0 ? static_cast<std::size_t>(bytes) : 0);
  struct flock lock {};
  lock.l_type = F_WRLCK, lock.l_whence = SEEK_SET;
  const auto taken_by_other = [](int code) { return code == EAGAIN || code == EACCES; };
  int code = ::fcntl(descriptor_, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
  for (const Stopwatch watch; taken_by_other(code) && watch.seconds() < grace;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    code = ::fcntl(descriptor_, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
  }
  try {
    if (taken_by_other(code)) refuse(path_, holder);
    if (code != 0) {
      note_ = text(path_.string(), ": this file system has no locks (", std::strerror(code),
                   "); whether another run is at work here is told from the file's text");
      refuse_if_alive(holder, patience);
    }
    write_holder();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}

// Empty text: the last run ended in order.
void RunLock::refuse_if_alive(const std::string& holder, double patience) {
  if (holder.empty()) return;
  if (lock_holder_runs_here(holder)) refuse(path_, holder);
  if (field(fields_of(holder), "host") == host_name()) return;
  const fs::file_time_type before = newest_news(path_.parent_path());
  const Stopwatch watch;
  while (watch.seconds() < patience) {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    if (newest_news(path_.parent_path()) != before) refuse(path_, holder);
  }
  note_ +=
      text("; the run of host ", field(fields_of(holder), "host"), " has given no sign of life for ", patience, " s and is taken for dead");
}

void RunLock::write_holder() const {
  const long pid = static_cast<long>(getpid());
  const std::string holder =
      text("host = ", host_name(), "\npid = ", pid, "\nstart = ", start_of(pid), "\nsince = ", wall_clock_text(), "\n");
  if (::ftruncate(descriptor_, 0) != 0 || ::pwrite(descriptor_, holder.data(), holder.size(), 0) != static_cast<ssize_t>(holder.size()))
    throw DataError(text(path_.string(), ": cannot write the run's lock file: ", std::strerror(errno)));
}

RunLock::~RunLock() {
  // The file stays, empty: removing it would let two runs lock two files of the same name.
  if (::ftruncate(descriptor_, 0) != 0) note_.clear();
  ::close(descriptor_);
}

}  // namespace strata
