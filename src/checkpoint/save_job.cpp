// One save: the file is made whole under a temporary name, filled by all ranks with plain writes, and renamed when all agree it is sound.
#include "checkpoint/save_job.hpp"

#include <algorithm>
#include <cstring>

#include "checkpoint/block_hash.hpp"
#include "checkpoint/records.hpp"
#include "checkpoint/save_plan.hpp"
#include "strata/base/error.hpp"
#include "strata/base/fault.hpp"
#include "strata/io/file.hpp"

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
    : path_(path), temporary_(path.string() + unfinished_suffix), step_(run.step), verify_(verify) {
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
}

void SaveJob::take_snapshot(SnapshotBuffer& buffer) {
  std::size_t total = 0;
  for (const Piece& piece : pieces_) total += static_cast<std::size_t>(piece.count * piece.element_bytes);
  std::byte* at = buffer.reserve(total);
  for (Piece& piece : pieces_) {
    const auto bytes = static_cast<std::size_t>(piece.count * piece.element_bytes);
    std::memcpy(at, piece.data, bytes);
    piece.data = at;
    at += bytes;
  }
}

void SaveJob::write() const {
  STRATA_FAULT("save.created", step_);
  const FileHandle file(temporary_, FileHandle::Mode::write_existing);
  std::vector<std::vector<unsigned char>> hashes;
  for (const Piece& piece : pieces_) {
    std::vector<unsigned char>& hash = hashes.emplace_back(static_cast<std::size_t>(checksum_blocks(piece.count) * checksum_bytes));
    const std::int64_t step = transfer_bytes / piece.element_bytes;
    for (std::int64_t at = 0; at < piece.count; at += step) {  // hashed while in the cache, then written
      const std::int64_t count = std::min(step, piece.count - at);
      const std::byte* from = piece.data + at * piece.element_bytes;
      hash_blocks(from, count, static_cast<std::size_t>(piece.element_bytes), hash.data() + at / checksum_elements * checksum_bytes);
      file.write_at(from, static_cast<std::size_t>(count * piece.element_bytes), piece.offset + at * piece.element_bytes);
    }
    file.write_at(hash.data(), hash.size(), piece.checksum_offset);
    if (&piece == &pieces_[pieces_.size() / 2]) STRATA_FAULT("save.half", step_);
  }
  file.sync();
  STRATA_FAULT("save.synced", step_);
  if (!verify_) return;

  file.drop_cache();
  std::vector<std::byte> buffer;
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const Piece& piece = pieces_[i];
    const std::int64_t step = transfer_bytes / piece.element_bytes;
    std::vector<unsigned char> stored(hashes[i].size());
    file.read_at(stored.data(), stored.size(), piece.checksum_offset);
    bool sound = stored == hashes[i];
    for (std::int64_t at = 0; at < piece.count && sound; at += step) {
      const std::int64_t count = std::min(step, piece.count - at);
      buffer.resize(static_cast<std::size_t>(count * piece.element_bytes));
      file.read_at(buffer.data(), buffer.size(), piece.offset + at * piece.element_bytes);
      const std::vector<unsigned char> read = hash_blocks(buffer.data(), count, static_cast<std::size_t>(piece.element_bytes));
      sound = std::equal(read.begin(), read.end(), hashes[i].begin() + at / checksum_elements * checksum_bytes);
    }
    if (!sound)
      throw DataError(text(temporary_.string(), ": ", piece.tensor, ": elements ", piece.first, "..", piece.first + piece.count - 1,
                           " came back from the disk other than they were written: disk or file system are faulty"));
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
