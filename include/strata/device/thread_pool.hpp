#pragma once
// Thread pool: threads that take numbered tasks. What a task computes must not depend on which thread takes it.
#include <cstdint>
#include <memory>

#include "strata/base/function_ref.hpp"

namespace strata {

/// `threads` workers, the calling thread being number 0. Threads sleep between runs after a short spin.
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;
  /// Calls work(task, worker) for every task in [0, tasks), each exactly once, and returns when all are done. The first exception of a
  /// task is rethrown here after the others have ended. Not reentrant.
  void run(std::int64_t tasks, FunctionRef<void(std::int64_t task, int worker)> work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Cores this process may use (its affinity mask, cgroup quota not counted), shared among the `local_ranks` ranks of this host; at least 1.
int default_threads(int local_ranks);

}  // namespace strata
