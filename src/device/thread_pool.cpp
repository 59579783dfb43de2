// Thread pool on std::thread: a generation counter wakes the workers, an atomic counter deals the tasks.
#include "strata/device/thread_pool.hpp"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "strata/base/error.hpp"

namespace strata {

struct ThreadPool::State {
  std::vector<std::thread> workers;
  std::mutex mutex;
  std::condition_variable wake, finished;
  std::atomic<std::uint64_t> generation{0};
  std::atomic<std::int64_t> next{0};
  std::atomic<int> running{0};
  std::int64_t tasks = 0;
  const FunctionRef<void(std::int64_t, int)>* work = nullptr;
  std::exception_ptr error;
  bool stop = false;

  void take_tasks(int worker) {
    for (;;) {
      const std::int64_t task = next.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks) return;
      try {
        (*work)(task, worker);
      } catch (...) {
        std::lock_guard lock(mutex);
        if (!error) error = std::current_exception();
      }
    }
  }

  // Spins for about 20 microseconds, since runs follow each other closely in a step, then sleeps.
  void await_generation(std::uint64_t seen) {
    for (int spin = 0; spin < 4000; ++spin) {
      if (generation.load(std::memory_order_acquire) != seen) return;
      __builtin_ia32_pause();
    }
    std::unique_lock lock(mutex);
    wake.wait(lock, [&] { return generation.load(std::memory_order_acquire) != seen; });
  }

  void worker_loop(int worker) {
    omp_set_num_threads(1);  // oneDNN inside a task stays on this thread
    std::uint64_t seen = 0;
    for (;;) {
      await_generation(seen);
      seen = generation.load(std::memory_order_acquire);
      if (stop) return;
      take_tasks(worker);
      if (running.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        std::lock_guard lock(mutex);
        finished.notify_one();
      }
    }
  }

  void start_generation() {
    std::lock_guard lock(mutex);
    generation.fetch_add(1, std::memory_order_release);
    wake.notify_all();
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  STRATA_ASSERT(threads >= 1, "a thread pool of ", threads);
  omp_set_num_threads(1);
  for (int worker = 1; worker < threads; ++worker) state_->workers.emplace_back([s = state_.get(), worker] { s->worker_loop(worker); });
}

ThreadPool::~ThreadPool() {
  state_->stop = true;
  state_->start_generation();
  for (std::thread& worker : state_->workers) worker.join();
}

int ThreadPool::threads() const {
  return static_cast<int>(state_->workers.size()) + 1;
}

void ThreadPool::run(std::int64_t tasks, FunctionRef<void(std::int64_t, int)> work) {
  State& s = *state_;
  if (tasks <= 0) return;
  s.tasks = tasks;
  s.work = &work;
  s.error = nullptr;
  s.next.store(0, std::memory_order_relaxed);
  if (tasks == 1 || s.workers.empty()) {  // not worth waking anyone
    s.take_tasks(0);
    if (s.error) std::rethrow_exception(s.error);
    return;
  }
  s.running.store(static_cast<int>(s.workers.size()), std::memory_order_relaxed);
  s.start_generation();
  s.take_tasks(0);
  for (int spin = 0; spin < 4000 && s.running.load(std::memory_order_acquire) != 0; ++spin) __builtin_ia32_pause();
  std::unique_lock lock(s.mutex);
  s.finished.wait(lock, [&] { return s.running.load(std::memory_order_acquire) == 0; });
  if (s.error) std::rethrow_exception(s.error);
}

int default_threads(int local_ranks) {
  cpu_set_t set;
  CPU_ZERO(&set);
  const int online = static_cast<int>(std::thread::hardware_concurrency());
  const int cores = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : std::max(1, online);
  // A launcher that binds ranks has divided the cores already: only ranks that share this mask share its cores.
  const int sharing = std::max(1, local_ranks * cores / std::max(cores, online));
  return std::max(1, cores / sharing);
}

}  // namespace strata
