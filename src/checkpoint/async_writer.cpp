// The writer that does not wait: the write stage of a save runs in a thread, on a snapshot.
#include "strata/checkpoint/async_writer.hpp"

#include <atomic>
#include <optional>
#include <thread>

#include "checkpoint/save_job.hpp"
#include "strata/base/error.hpp"

namespace strata {

struct AsyncCheckpointWriter::State {
  std::optional<SaveJob> job;
  SnapshotBuffer snapshot;
  std::thread thread;
  std::atomic<bool> done{false};
  SaveTimes times;
  std::exception_ptr error;  // of the thread; read after it was joined
  bool first_rank = false;

  void work() noexcept {
    try {
      job->write();
    } catch (...) {
      error = std::current_exception();
    }
    done.store(true, std::memory_order_release);
  }
};

AsyncCheckpointWriter::AsyncCheckpointWriter() : state_(std::make_unique<State>()) {}

AsyncCheckpointWriter::~AsyncCheckpointWriter() {
  if (!active()) return;
  if (state_->thread.joinable()) state_->thread.join();
  if (state_->first_rank) state_->job->discard();
}

void AsyncCheckpointWriter::begin(Communicator& comm, const std::filesystem::path& path, const std::vector<CheckpointTensor>& tensors,
                                  const RunRecord& run, const LaunchRecord& launch, bool verify) {
  STRATA_ASSERT(!active(), "a save was begun before the last one was finished");
  state_->first_rank = comm.rank() == 0;
  state_->done = false;
  state_->error = nullptr;
  state_->job.emplace(comm, path, tensors, run, launch, verify);
  try {
    guarded(comm, [&] {
      state_->job->take_snapshot(state_->snapshot);
      state_->thread = std::thread(&State::work, state_.get());
    });
  } catch (...) {
    if (state_->thread.joinable()) state_->thread.join();
    if (state_->first_rank) state_->job->discard();
    state_->job.reset();
    throw;
  }
}

bool AsyncCheckpointWriter::active() const {
  return state_->job.has_value();
}

bool AsyncCheckpointWriter::done() const {
  return state_->done.load(std::memory_order_acquire);
}

void AsyncCheckpointWriter::finish(Communicator& comm) {
  if (!active()) return;
  state_->thread.join();
  try {
    guarded(comm, [&] {
      if (state_->error) std::rethrow_exception(state_->error);
    });
    state_->job->commit(comm);
    state_->times = state_->job->times();
  } catch (...) {
    if (state_->first_rank) state_->job->discard();
    state_->job.reset();
    throw;
  }
  state_->job.reset();
}

const SaveTimes& AsyncCheckpointWriter::times() const {
  return state_->times;
}

std::int64_t AsyncCheckpointWriter::snapshot_bytes(const std::vector<CheckpointTensor>& tensors) {
  std::int64_t total = 0;
  for (const CheckpointTensor& tensor : tensors)
    for (const TensorPiece& piece : tensor.pieces) total += piece.count * static_cast<std::int64_t>(size_of(tensor.type));
  return total;
}

}  // namespace strata
