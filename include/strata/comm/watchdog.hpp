#pragma once
// Watchdog: ends a process that waits in vain for another rank, and says which rank that is and what it did last.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "strata/comm/communicator.hpp"

namespace strata {

struct WatchdogSettings {
  double timeout = 600;  // [s]
  int rank = 0, size = 1;
  std::vector<std::string> hosts;  // of every rank; empty before the ranks have met
  std::filesystem::path news;      // the folder where ranks leave news of themselves, <run.folder>/.ranks; empty: none
  bool launched = false;           // by mpirun or the like: end when the launcher is gone
};

/// While it lives, a thread watches how long this process has waited in one collective (base/phase.hpp). After `timeout` seconds it reads
/// the news of the other ranks. If one of them still gets on with something (its phase changed within `timeout`), the wait goes on.
/// Otherwise it prints which rank has not come, from which host, in which step and phase, calls what has to be done before the end
/// (EndHook, for some seconds at most), and ends the process with code 6 without asking MPI, so that the launcher ends the others. Time in
/// which the whole process was stopped does not count. It also ends the process when its launcher has died. With a folder, a second thread
/// writes this rank's news there every timeout / 20 (at most 15 s); where the folder cannot be read, the wait alone decides.
class Watchdog {
 public:
  explicit Watchdog(const WatchdogSettings& settings);
  /// For the ranks of `comm`. Makes the news folder on rank 0 and empties it. Collective.
  Watchdog(Communicator& comm, const std::filesystem::path& run_folder, double timeout, bool launched);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  struct Shared;
  std::shared_ptr<Shared> shared_;  // the threads hold it too: one that hangs in the file system is left behind
};

/// What a rank last told of itself.
struct RankNews {
  int rank = 0;
  bool known = false;    // there is news of this rank
  bool waiting = false;  // it waits for others
  double idle = 0;       // [s] since anything changed in it
  double silent = 0;     // [s] since its last news
  std::string phase;     // "micro-batch 3 of step 57"
};
/// Ranks that keep the others waiting, in words: the verdict on the news of all ranks by `rank`, which waits in `phase` for `waited`
/// seconds. A rank that has been silent for longer than `silence` is taken for dead or stopped.
std::string watchdog_verdict(const std::vector<RankNews>& news, const std::vector<std::string>& hosts, int rank, const std::string& phase,
                             double waited, double silence);
/// Whether some rank is still busy, so that waiting for it is right: heard of, not waiting, and idle for less than `timeout`.
bool watchdog_busy(const std::vector<RankNews>& news, double timeout, double silence);

}  // namespace strata
