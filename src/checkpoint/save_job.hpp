#pragma once
// Private to checkpoint: one save in three stages - prepare together, write alone, commit together - shared by both writers.
#include <cstddef>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "strata/checkpoint/format.hpp"
#include "strata/comm/communicator.hpp"
#include "strata/device/arena.hpp"

namespace strata {

/// Memory a snapshot is taken in; it only grows. An arena's large pages are touched for the first time ten times as fast as small ones.
class SnapshotBuffer {
 public:
  /// At least `bytes` bytes; their content is not defined.
  std::byte* reserve(std::int64_t bytes) {
    if (bytes > bytes_) {
      memory_.reset(), bytes_ = 0;  // the old one first: both together may not fit, and the new one may not either
      memory_.emplace(bytes + Arena::alignment);
      at_ = static_cast<std::byte*>(memory_->take("snapshot", bytes));
      bytes_ = bytes;
    }
    return at_;
  }

 private:
  std::optional<Arena> memory_;
  std::byte* at_ = nullptr;
  std::int64_t bytes_ = 0;
};

class SaveJob {
 public:
  /// Checks the pieces over all ranks, creates the temporary file on rank 0 and learns where everything goes. Collective.
  SaveJob(Communicator& comm, const std::filesystem::path& path, const std::vector<CheckpointTensor>& tensors, const RunRecord& run,
          const LaunchRecord& launch, bool verify);

  /// Takes the memory for a copy of the pieces from `buffer`. Local.
  void reserve_snapshot(SnapshotBuffer& buffer);
  /// Copies the pieces there and will write from there: from now on the tensors may change. Any thread may run it. Local.
  void copy_to_snapshot() noexcept;
  /// Writes and hashes this rank's pieces, syncs, and reads back when asked. Neither HDF5 nor MPI: any thread may run it. Local.
  void write();
  /// What it took on this rank so far.
  const SaveTimes& times() const { return times_; }
  /// Renames the file to its name and syncs the folder. Collective.
  void commit(Communicator& comm) const;
  /// Removes the temporary file. On rank 0, after every rank has stopped writing. Local.
  void discard() const noexcept;

 private:
  struct Piece {
    std::string tensor;
    const std::byte* data = nullptr;
    std::int64_t first = 0, count = 0;  // [elements] of the flat tensor
    std::int64_t element_bytes = 0;
    std::int64_t offset = 0, checksum_offset = 0;  // [bytes] in the file: of element `first`, of its block's checksum
  };

  /// A run of whole blocks of one piece that is handled at a time.
  struct Transfer {
    std::size_t piece;
    std::int64_t first, count;  // [elements] of the piece
  };
  struct Span;
  Span span(const Transfer& transfer) const;
  std::vector<Transfer> transfers() const;
  /// Calls work(transfer, its span, aligned memory for it), several at a time.
  void each_in_flight(const std::vector<Transfer>& transfers,
                      const std::function<void(const Transfer&, const Span&, std::byte*)>& work) const;
  void write_pieces(const std::vector<Transfer>& transfers);
  void read_back(const std::vector<Transfer>& transfers) const;

  std::filesystem::path path_, temporary_;
  std::int64_t step_ = 0;
  int in_flight_;  // transfers at once; the ranks of a host share its disk
  std::vector<Piece> pieces_;
  std::byte* snapshot_ = nullptr;
  std::vector<std::vector<unsigned char>> hashes_;  // of each piece
  SaveTimes times_;
  bool verify_ = true;
};

}  // namespace strata
