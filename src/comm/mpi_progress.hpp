#pragma once
// MPI progress: messages move only while a thread is inside MPI, and between hosts they want that often.
#include <mutex>

namespace strata {

/// Held by whoever calls MPI: it is initialised with MPI_THREAD_SERIALIZED.
std::recursive_mutex& mpi_mutex();

/// While one lives, messages are under way: a thread then looks into MPI every fraction of a millisecond, whatever the others do. Ops of
/// tens of milliseconds would otherwise let a socket's buffer stand full. The thread is made with the first one, where MPI allows it.
class MpiProgress {
 public:
  MpiProgress();
  ~MpiProgress();
  MpiProgress(const MpiProgress&) = delete;
  MpiProgress& operator=(const MpiProgress&) = delete;
};

}  // namespace strata
