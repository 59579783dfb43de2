#pragma once
// Thread pool: threads that take numbered tasks. What a task computes must not depend on which thread takes it.
#include <cstdint>
#include <memory>
#include <type_traits>

namespace strata {

/// A reference to a callable; does not own it and allocates nothing.
template <class Signature>
class FunctionRef;
template <class R, class... Args>
class FunctionRef<R(Args...)> {
 public:
  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, FunctionRef>>>
  FunctionRef(F&& f)  // NOLINT: implicit on purpose
      : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* object, Args... args) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(object))(static_cast<Args>(args)...);
        }) {}
  R operator()(Args... args) const { return call_(object_, static_cast<Args>(args)...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

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
