#include "comm/mpi_progress.hpp"

#include <mpi.h>

#include <chrono>
#include <condition_variable>
#include <thread>

namespace strata {
namespace {

// At 1 Gbit/s a socket's buffer of 128 KiB is full after a millisecond.
constexpr auto pause = std::chrono::microseconds(200);

// Lives as long as the process: a detached thread may still look at it.
struct Shared {
  std::mutex mutex;
  std::condition_variable changed;
  int under_way = 0;
  bool started = false;

  void look() {
    for (;;) {
      {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return under_way > 0; });
      }
      // Whoever holds the lock is in MPI, and moves the messages himself.
      if (std::unique_lock in_mpi(mpi_mutex(), std::try_to_lock); in_mpi) {
        const std::lock_guard lock(mutex);
        int there = 0;
        if (under_way > 0) MPI_Iprobe(MPI_ANY_SOURCE, 0, MPI_COMM_SELF, &there, MPI_STATUS_IGNORE);
      }
      std::this_thread::sleep_for(pause);
    }
  }
};

Shared& shared() {
  static auto* const it = new Shared;
  return *it;
}

}  // namespace

std::recursive_mutex& mpi_mutex() {
  static auto* const it = new std::recursive_mutex;
  return *it;
}

MpiProgress::MpiProgress() {
  Shared& s = shared();
  const std::lock_guard lock(s.mutex);
  if (!s.started) {
    s.started = true;
    int provided = MPI_THREAD_SINGLE;
    MPI_Query_thread(&provided);
    if (provided >= MPI_THREAD_SERIALIZED) std::thread([&s] { s.look(); }).detach();
  }
  if (++s.under_way == 1) s.changed.notify_all();
}

MpiProgress::~MpiProgress() {
  Shared& s = shared();
  const std::lock_guard lock(s.mutex);
  --s.under_way;
}

}  // namespace strata
