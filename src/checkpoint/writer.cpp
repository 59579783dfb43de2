// The writer that waits: all stages of a save, one after the other.
#include "strata/checkpoint/writer.hpp"

#include "checkpoint/save_job.hpp"
#include "checkpoint/save_plan.hpp"

namespace strata {

SaveTimes write_checkpoint(Communicator& comm, const std::filesystem::path& path, const std::vector<CheckpointTensor>& tensors,
                           const RunRecord& run, const LaunchRecord& launch, bool verify) {
  SaveJob job(comm, path, tensors, run, launch, verify);
  try {
    guarded(comm, [&] { job.write(); });
    job.commit(comm);
    return job.times();
  } catch (...) {
    if (comm.rank() == 0) job.discard();
    throw;
  }
}

std::int64_t checkpoint_bytes(const std::vector<CheckpointTensor>& tensors) {
  constexpr std::int64_t page = 4096, structure = 1024, records = 256 << 10;  // [bytes] per large dataset, per object, in all
  std::int64_t total = records;
  for (const CheckpointTensor& tensor : tensors) {
    const std::int64_t elements = elements_of(tensor);
    total +=
        elements * static_cast<std::int64_t>(size_of(tensor.type)) + checksum_blocks(elements) * checksum_bytes + 2 * (page + structure);
  }
  return total;
}

}  // namespace strata
