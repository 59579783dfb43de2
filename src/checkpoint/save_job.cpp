// One save: the file is made whole under a temporary name, filled by all ranks with plain writes, and renamed when all agree it is sound.
#include "checkpoint/save_job.hpp"

#include <algorithm>

#include "checkpoint/block_hash.hpp"
#include "checkpoint/records.hpp"
#include "checkpoint/save_plan.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/base/fault.hpp"
#include "strata/device/gpu.hpp"
#include "strata/io/direct_file.hpp"
#include "strata/io/in_flight.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

/// The folder, without the unfinished file of a run that was killed while saving.
void make_room(const fs::path& path, const fs::path& temporary) {
  std::error_code code;
  if (path.has_parent_path()) fs::create_directories(path.parent_path(), code);
  if (code) throw DataError(text(path.parent_path().string(), ": cannot make the folder for checkpoints: ", code.message()));
  fs::remove(temporary, code);
  if (code) throw DataError(text(temporary.string(), ": cannot remove what an earlier save left: ", code.message()));
}

}  // namespace

SaveJob::SaveJob(Communicator& comm, const fs::path& path, const std::vector<CheckpointTensor>& tensors, const RunRecord& run,
                 const LaunchRecord& launch, bool verify)
    : path_(path),
      temporary_(path.string() + unfinished_suffix),
      step_(run.step),
      in_flight_(comm.local_size() == 1 ? transfers_in_flight : 1),
      verify_(verify) {
  const Stopwatch watch;
  const std::vector<const CheckpointTensor*> ordered = by_path(tensors);
  check_pieces(comm, ordered);

  std::vector<std::int64_t> offsets(2 * ordered.size(), -1);  // of each tensor, then of each tensor's checksums
  guarded(comm, [&] {
    if (comm.rank() != 0) return;
    make_room(path, temporary_);
    const std::vector<h5::DatasetSpec> datasets = datasets_of(ordered);
    const auto places = h5::create_file(temporary_, datasets, checkpoint_attributes(run, launch));
    for (std::size_t i = 0; i < datasets.size(); ++i) offsets[i] = places.at(datasets[i].path);
  });
  comm.broadcast(offsets.data(), offsets.size() * sizeof offsets[0], 0);

  for (std::size_t i = 0; i < ordered.size(); ++i) {
    const auto element_bytes = static_cast<std::int64_t>(size_of(ordered[i]->type));
    for (const TensorPiece& piece : ordered[i]->pieces)
      if (piece.count > 0)
        pieces_.push_back({ordered[i]->path, static_cast<const std::byte*>(piece.data), piece.first, piece.count, element_bytes,
                           offsets[i] + piece.first * element_bytes,
                           offsets[ordered.size() + i] + piece.first / checksum_elements * checksum_bytes});
  }
  for (const Piece& piece : pieces_) times_.bytes += piece.count * piece.element_bytes;
  times_.write = watch.seconds();
}

void SaveJob::reserve_snapshot(SnapshotBuffer& buffer) {
  snapshot_ = buffer.reserve(times_.bytes);
}

void SaveJob::copy_to_snapshot() noexcept {
  std::byte* at = snapshot_;
  for (Piece& piece : pieces_) {
    const auto bytes = static_cast<std::size_t>(piece.count * piece.element_bytes);
    copy_memory(at, piece.data, static_cast<std::int64_t>(bytes));
    piece.data = at;
    at += bytes;
  }
}

std::vector<SaveJob::Transfer> SaveJob::transfers() const {
  std::vector<Transfer> result;
  for (std::size_t i = 0; i < pieces_.size(); ++i)
    for (std::int64_t at = 0, step = transfer_bytes / pieces_[i].element_bytes; at < pieces_[i].count; at += step)
      result.push_back({i, at, std::min(step, pieces_[i].count - at)});
  return result;
}

void SaveJob::write() {
  STRATA_FAULT("save.created", step_);
  const Stopwatch watch;
  hashes_.clear();
  for (const Piece& piece : pieces_) hashes_.emplace_back(static_cast<std::size_t>(checksum_blocks(piece.count) * checksum_bytes));
  const std::vector<Transfer> all = transfers();
  write_pieces(all);
  times_.write += watch.seconds();
  if (!verify_) return;
  const Stopwatch reading;
  read_back(all);
  times_.read_back = reading.seconds();
}

/// Bytes of a transfer, and where they go in the file.
struct SaveJob::Span {
  std::int64_t bytes, offset;
};
SaveJob::Span SaveJob::span(const Transfer& transfer) const {
  const Piece& piece = pieces_[transfer.piece];
  return {transfer.count * piece.element_bytes, piece.offset + transfer.first * piece.element_bytes};
}

void SaveJob::each_in_flight(const std::vector<Transfer>& transfers,
                             const std::function<void(const Transfer&, const Span&, std::byte*)>& work) const {
  std::vector<TransferBuffer> buffers;
  for (int worker = 0; worker < in_flight_; ++worker) buffers.emplace_back(transfer_bytes);
  run_in_flight(static_cast<std::int64_t>(transfers.size()), in_flight_, [&](std::int64_t i, int worker) {
    const Transfer& transfer = transfers[static_cast<std::size_t>(i)];
    work(transfer, span(transfer), buffers[static_cast<std::size_t>(worker)].data());
  });
}

// Several transfers are under way at once on a host, so that hashing hides behind the disk. (Where ranks share it, one each: two ranks with
// two or four at once took 3.0 - 3.9 s for 3.4 GB, with one each 2.0 - 2.3 s, as long as one rank with four.) Past the page cache the disk
// gets them as they are, twice as fast here as when the kernel writes pages back.
void SaveJob::write_pieces(const std::vector<Transfer>& transfers) {
  const DirectFile file(temporary_, FileHandle::Mode::write_existing);
  each_in_flight(transfers, [&](const Transfer& transfer, const Span& to, std::byte* data) {
    const Piece& piece = pieces_[transfer.piece];
    copy_memory(data, piece.data + transfer.first * piece.element_bytes, to.bytes);
    hash_blocks(data, transfer.count, static_cast<std::size_t>(piece.element_bytes),
                hashes_[transfer.piece].data() + transfer.first / checksum_elements * checksum_bytes);
    file.write_at(data, to.bytes, to.offset);
    if (&transfer == &transfers[transfers.size() / 2]) STRATA_FAULT("save.half", step_);
  });
  for (std::size_t i = 0; i < pieces_.size(); ++i) file.cached().write_at(hashes_[i].data(), hashes_[i].size(), pieces_[i].checksum_offset);
  file.cached().sync();
  STRATA_FAULT("save.synced", step_);
}

void SaveJob::read_back(const std::vector<Transfer>& transfers) const {
  const DirectFile file(temporary_, FileHandle::Mode::read);
  file.cached().drop_cache();
  const auto damaged = [&](const Piece& piece) {
    throw DataError(text(temporary_.string(), ": ", piece.tensor, ": elements ", piece.first, "..", piece.first + piece.count - 1,
                         " came back from the disk other than they were written: disk or file system are faulty"));
  };
  each_in_flight(transfers, [&](const Transfer& transfer, const Span& from, std::byte* data) {
    const Piece& piece = pieces_[transfer.piece];
    file.read_at(data, from.bytes, from.offset);
    const std::vector<unsigned char> read = hash_blocks(data, transfer.count, static_cast<std::size_t>(piece.element_bytes));
    if (!std::equal(read.begin(), read.end(), hashes_[transfer.piece].begin() + transfer.first / checksum_elements * checksum_bytes))
      damaged(piece);
  });
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    std::vector<unsigned char> stored(hashes_[i].size());
    file.cached().read_at(stored.data(), stored.size(), pieces_[i].checksum_offset);
    if (stored != hashes_[i]) damaged(pieces_[i]);
  }
}

void SaveJob::commit(Communicator& comm) const {
  STRATA_FAULT("save.verified", step_);
  guarded(comm, [&] {
    if (comm.rank() == 0) replace_file(temporary_, path_);
  });
  STRATA_FAULT("save.renamed", step_);
}

void SaveJob::discard() const noexcept {
  std::error_code ignored;
  fs::remove(temporary_, ignored);
}

}  // namespace strata
