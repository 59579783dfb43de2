#pragma once
// Writing checkpoints: one HDF5 file by all ranks, whole or not at all.
#include <filesystem>
#include <memory>
#include <vector>

#include "strata/checkpoint/format.hpp"
#include "strata/comm/communicator.hpp"

namespace strata {

/// Writes `path` as: free space checked; created by rank 0 under `path` + ".tmp" (design: early allocation, no fill); every rank writes its
/// pieces and their checksums by pwrite and syncs; with `verify`, every rank reads its pieces back past the page cache and compares; then
/// rank 0 renames and syncs the folder. A missing folder is made. If any rank fails, all throw, the temporary file is removed and what was
/// there before stays. Everything but /run/launch is the same bits for any number of ranks. Throws CapacityError where the disk is full,
/// DataError where it fails, InternalError where the pieces do not cover every tensor exactly once. Collective over `comm`.
/// Returns what it took on this rank.
SaveTimes write_checkpoint(Communicator& comm, const std::filesystem::path& path, const std::vector<CheckpointTensor>& tensors,
                           const RunRecord& run, const LaunchRecord& launch, bool verify);

/// Bytes a checkpoint of these tensors takes on disk, a little rounded up. Local.
std::int64_t checkpoint_bytes(const std::vector<CheckpointTensor>& tensors);

}  // namespace strata
