#pragma once
// Writing a checkpoint while training goes on: a thread that calls neither HDF5 nor MPI takes a snapshot and brings it to disk.
#include <filesystem>
#include <memory>
#include <vector>

#include "strata/checkpoint/format.hpp"
#include "strata/comm/communicator.hpp"

namespace strata {

/// One save at a time: begin(), then done() whenever convenient, then finish(). The file, the guarantees and the errors are those of
/// write_checkpoint(): until finish() has renamed it, the new checkpoint does not exist and the previous one stays whole.
class AsyncCheckpointWriter {
 public:
  AsyncCheckpointWriter();
  /// Without finish(): waits for the thread and removes the unfinished file. Local.
  ~AsyncCheckpointWriter();
  AsyncCheckpointWriter(const AsyncCheckpointWriter&) = delete;
  AsyncCheckpointWriter& operator=(const AsyncCheckpointWriter&) = delete;

  /// Takes the memory for snapshots of `bytes` bytes and has a thread touch it, so that the first save does not have to. Throws
  /// CapacityError. Local.
  void prepare(std::int64_t bytes);
  /// Creates the file and starts copying this rank's pieces, then writing. The tensors may be read, but not changed before settle().
  /// Calls HDF5 on rank 0. The snapshot's memory is kept for the next save. Throws as write_checkpoint() does. Collective over `comm`.
  void begin(Communicator& comm, const std::filesystem::path& path, const std::vector<CheckpointTensor>& tensors, const RunRecord& run,
             const LaunchRecord& launch, bool verify);
  /// Returns once the pieces are copied: from now on the tensors may change. Nothing to do when not active. Local.
  void settle();
  /// Whether a save was begun and not finished. The same on all ranks. Local.
  bool active() const;
  /// Whether this rank's part is on disk, or has failed. Local: ranks differ, so agree on it (all_min) before calling finish() because of
  /// it.
  bool done() const;
  /// Waits for the thread, agrees over ranks, and renames; throws on every rank if any failed. Nothing to do when not active. Collective.
  void finish(Communicator& comm);

  /// What the last save took on this rank, once finish() has returned. Local.
  const SaveTimes& times() const;

  /// [bytes] of memory the snapshot of these pieces takes on this rank. Local.
  static std::int64_t snapshot_bytes(const std::vector<CheckpointTensor>& tensors);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata
