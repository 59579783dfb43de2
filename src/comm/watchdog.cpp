// The watchdog's threads. Neither calls MPI, and the one that ends the process touches no file: a file system that hangs cannot stop it.
#include "strata/comm/watchdog.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <sstream>
#include <thread>

#include "strata/base/clock.hpp"
#include "strata/base/end_hook.hpp"
#include "strata/base/error.hpp"
#include "strata/base/log.hpp"
#include "strata/base/phase.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t record_bytes = 256;  // one write, so that a reader sees all of it or none

// Seconds since the last call; at most twice the pause, so that the time a job was suspended is not counted.
class Meter {
 public:
  double lap(double pause) {
    const double passed = watch_.seconds();
    watch_.restart();
    return std::min(passed, 2 * pause + 0.1);
  }

 private:
  Stopwatch watch_;
};

double changed_at(const struct stat& status) {
  return static_cast<double>(status.st_mtim.tv_sec) + 1e-9 * static_cast<double>(status.st_mtim.tv_nsec);
}

}  // namespace

struct Watchdog::Shared {
  WatchdogSettings settings;
  std::mutex mutex;
  std::condition_variable changed;
  bool ending = false;   // the watchdog is being put away
  bool heralds = false;  // the herald is at work
  bool asked = false;    // the watching thread wants all news
  std::optional<std::vector<RankNews>> answer;
  double herald_pause = 1, watch_pause = 1;
  pid_t parent = 0;

  fs::path record(int rank) const { return settings.news / std::to_string(rank); }
  double silence() const { return 3 * herald_pause + 2; }
  bool pause(double seconds) {
    std::unique_lock lock(mutex);
    return !changed.wait_for(lock, std::chrono::duration<double>(seconds), [&] { return ending; });
  }
  void tell(double idle) const;
  std::vector<RankNews> read_all(double own_idle) const;
  void herald();
  void watch();
  std::vector<RankNews> ask_for_news();
  void end_launcher() const;
  [[noreturn]] void end(const std::string& message) const;
  bool judge(double waited);
};

// The record of this rank: idle seconds, whether it waits, its phase. Opened anew each time, so that network file systems pass it on.
void Watchdog::Shared::tell(double idle) const {
  std::string line = text(idle, Phase::waiting() ? " waits " : " works ", Phase::text(), "\n");
  line.resize(record_bytes, ' ');
  const int descriptor = ::open(record(settings.rank).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) return;  // the folder may be gone or full: this is news only
  if (::pwrite(descriptor, line.data(), line.size(), 0) < 0) {
  }
  ::close(descriptor);
}

// Ages are differences of times that the same file system gave: no two hosts' clocks are compared.
std::vector<RankNews> Watchdog::Shared::read_all(double own_idle) const {
  tell(own_idle);
  struct stat own {};
  const bool comparable = ::stat(record(settings.rank).c_str(), &own) == 0;
  std::vector<RankNews> all;
  for (int r = 0; r < settings.size; ++r) {
    RankNews news;
    news.rank = r;
    const int descriptor = ::open(record(r).c_str(), O_RDONLY | O_CLOEXEC);
    char content[record_bytes + 1] = {};
    struct stat status {};
    if (descriptor >= 0 && comparable && ::fstat(descriptor, &status) == 0 && ::read(descriptor, content, record_bytes) > 0) {
      std::istringstream line(content);
      std::string state;
      news.known = static_cast<bool>(line >> news.idle >> state);
      std::getline(line >> std::ws, news.phase, '\n');
      news.waiting = state == "waits";
      news.silent = std::max(0.0, changed_at(own) - changed_at(status));
      news.idle += news.silent;
    }
    if (descriptor >= 0) ::close(descriptor);
    all.push_back(std::move(news));
  }
  return all;
}

void Watchdog::Shared::herald() {
  Meter meter;
  std::uint64_t ticks = 0;
  double idle = 0;
  for (;;) {
    idle = Phase::ticks() == ticks ? idle + meter.lap(herald_pause) : (meter.lap(herald_pause), 0.0);
    ticks = Phase::ticks();
    tell(idle);
    std::unique_lock lock(mutex);
    changed.wait_for(lock, std::chrono::duration<double>(herald_pause), [&] { return ending || asked; });
    if (ending) break;
    if (!asked) continue;
    asked = false;
    lock.unlock();
    auto all = read_all(idle);
    lock.lock();
    answer = std::move(all);
    changed.notify_all();
  }
  std::error_code ignored;
  fs::remove(record(settings.rank), ignored);
  fs::remove(settings.news, ignored);  // the last rank finds it empty
  const std::scoped_lock lock(mutex);
  heralds = false;
  changed.notify_all();
}

// What the herald reads; nothing if it does not answer within some seconds.
std::vector<RankNews> Watchdog::Shared::ask_for_news() {
  std::vector<RankNews> nothing;
  for (int r = 0; r < settings.size; ++r) nothing.emplace_back().rank = r;
  if (settings.news.empty()) return nothing;
  std::unique_lock lock(mutex);
  answer.reset(), asked = true;
  changed.notify_all();
  changed.wait_for(lock, std::chrono::seconds(5), [&] { return ending || answer.has_value(); });
  return answer ? *answer : nothing;
}

// A launcher that has lost the link to another host waits for it for a quarter of an hour before it ends (Open MPI 4.1): a process that
// outlives this one ends it after a while, so that the job does not hold its nodes for nothing. Only calls that are safe after fork() in a
// program with threads.
void Watchdog::Shared::end_launcher() const {
  if (parent <= 1 || getppid() != parent) return;
  // A handle on this very process: its number may be another's by then.
  const auto launcher = static_cast<int>(::syscall(SYS_pidfd_open, parent, 0));
  if (launcher < 0 || getppid() != parent || ::fork() != 0) return;
  ::setsid();
  for (int descriptor = 0; descriptor < 1024; ++descriptor)
    if (descriptor != launcher) ::close(descriptor);
  pollfd ended{launcher, POLLIN, 0};
  for (const auto& [signal, seconds] : {std::pair{SIGTERM, 15}, std::pair{SIGKILL, 5}}) {
    if (::poll(&ended, 1, seconds * 1000) != 0) ::_exit(0);
    ::syscall(SYS_pidfd_send_signal, launcher, signal, nullptr, 0);
  }
  ::_exit(0);
}

void Watchdog::Shared::end(const std::string& message) const {
  // Printing may block on a terminal or a file system that is lost: the end does not wait for it.
  std::thread([] {
    std::this_thread::sleep_for(std::chrono::seconds(3));
    run_end_hooks();
    std::_Exit(static_cast<int>(ExitCode::lost));
  }).detach();
  log_error(message);
  end_launcher();
  run_end_hooks();
  std::_Exit(static_cast<int>(ExitCode::lost));
}

// Ends the process, or returns whether the others are busy and the wait is to go on.
bool Watchdog::Shared::judge(double waited) {
  const std::vector<RankNews> news = ask_for_news();
  if (watchdog_busy(news, settings.timeout, silence())) return true;
  // The lowest rank that is alive speaks; the others give it a moment to end the job.
  const bool first = std::none_of(news.begin(), news.begin() + settings.rank,
                                  [&](const RankNews& n) { return n.known && n.waiting && n.silent < silence(); });
  const std::uint64_t ticks = Phase::ticks();
  if (!first && (!pause(3) || Phase::ticks() != ticks)) return true;
  end(text(watchdog_verdict(news, settings.hosts, settings.rank, Phase::text(), waited, silence()),
           ". parallel.timeout = ", settings.timeout,
           " s has passed: the run ends, and the same command continues it from its last checkpoint; a step whose micro-batch takes longer "
           "than that "
           "needs a larger parallel.timeout"));
}

void Watchdog::Shared::watch() {
  Meter meter;
  std::uint64_t ticks = 0;
  double waited = 0, look_again = settings.timeout;
  while (pause(watch_pause)) {
    const double passed = meter.lap(watch_pause);
    if (parent > 1 && getppid() != parent)
      end("the launcher of this rank is gone: the run ends, and the same command continues it from its last checkpoint");
    const bool same = Phase::waiting() && Phase::ticks() == ticks;
    ticks = Phase::ticks();
    waited = same ? waited + passed : 0;
    if (!same) look_again = settings.timeout;
    if (settings.size > 1 && waited >= look_again && judge(waited)) look_again = waited + std::max(watch_pause, settings.timeout / 10);
  }
}

Watchdog::Watchdog(const WatchdogSettings& settings) : shared_(std::make_shared<Shared>()) {
  shared_->settings = settings;
  shared_->herald_pause = std::clamp(settings.timeout / 20, 0.1, 15.0);
  shared_->watch_pause = std::clamp(settings.timeout / 20, 0.05, 1.0);
  shared_->parent = settings.launched ? getppid() : 0;
  std::thread([s = shared_] { s->watch(); }).detach();
  shared_->heralds = !settings.news.empty();
  if (shared_->heralds) std::thread([s = shared_] { s->herald(); }).detach();
}

namespace {
WatchdogSettings settings_for(Communicator& comm, const fs::path& run_folder, double timeout, bool launched) {
  WatchdogSettings settings{timeout, comm.rank(), comm.size(), {}, run_folder / ".ranks", launched};
  Phase::enter("the set-up of the run");
  for (int r = 0; r < comm.size(); ++r) settings.hosts.push_back(comm.host_of(r));
  guarded(comm, [&] {
    if (comm.rank() != 0) return;
    std::error_code code;
    fs::remove_all(settings.news, code);  // of a run that was killed
    fs::create_directories(settings.news, code);
    if (code) throw DataError(text(settings.news.string(), ": cannot make the folder for news of the ranks: ", code.message()));
  });
  return settings;
}
}  // namespace

Watchdog::Watchdog(Communicator& comm, const fs::path& run_folder, double timeout, bool launched)
    : Watchdog(settings_for(comm, run_folder, timeout, launched)) {}

Watchdog::~Watchdog() {
  std::unique_lock lock(shared_->mutex);
  shared_->ending = true;
  shared_->changed.notify_all();
  // So that the news are gone with the run; a file system that hangs is not waited for.
  shared_->changed.wait_for(lock, std::chrono::seconds(2), [&] { return !shared_->heralds; });
}

}  // namespace strata
