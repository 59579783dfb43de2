#pragma once
// Run lock: one run at a time in a run's folder.
#include <filesystem>
#include <string>

namespace strata {

/// Holds <folder>/lock while it lives. The system gives the lock back when the process ends, however it ends, so that a killed run never
/// blocks the next one; the file's text only tells people who holds it. Local: on one rank only.
class RunLock {
 public:
  /// Throws DeckError, naming host, process and time of the other run, if one is alive in the folder and still is after `grace` seconds:
  /// ranks whose launcher was killed need a moment to end. Where the file system knows no locks, the text decides: a process of this host
  /// is asked for, and a run of another host is given `patience` seconds to show, by the news its ranks leave in <folder>/.ranks, that it
  /// is alive. What had to be assumed is said in note(). Throws DataError if the file cannot be made.
  explicit RunLock(const std::filesystem::path& folder, double grace = 5, double patience = 40);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;
  const std::string& note() const { return note_; }

 private:
  void refuse_if_alive(const std::string& holder, double patience);
  void write_holder() const;
  std::filesystem::path path_;
  int descriptor_ = -1;
  std::string note_;
};

/// Whether the text of a lock file names a process of this host that runs. Local.
bool lock_holder_runs_here(const std::string& holder);

}  // namespace strata
