// The writer that does not wait: a thread takes the snapshot while the next step computes its gradients, and runs the write stage on it.
#include "strata/checkpoint/async_writer.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "checkpoint/save_job.hpp"
#include "strata/base/error.hpp"

namespace strata {

struct AsyncCheckpointWriter::State {
  std::optional<SaveJob> job;
  SnapshotBuffer snapshot;
  std::thread thread, toucher;
  std::atomic<bool> done{false};
  std::mutex mutex;
  std::condition_variable copied_changed;
  bool copied = true;  // under the mutex
  SaveTimes times;
  std::exception_ptr error;  // of the thread; read after it was joined
  bool first_rank = false;

  void join_toucher() {
    if (toucher.joinable()) toucher.join();
  }

  void set_copied(bool value) {
    const std::lock_guard lock(mutex);
    copied = value;
    copied_changed.notify_all();
  }

  void work() noexcept {
    job->copy_to_snapshot();
    set_copied(true);
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
  state_->join_toucher();
  if (!active()) return;
  if (state_->thread.joinable()) state_->thread.join();
  if (state_->first_rank) state_->job->discard();
}

void AsyncCheckpointWriter::prepare(std::int64_t bytes) {
  std::byte* const memory = state_->snapshot.reserve(bytes);
  constexpr std::int64_t page = 4096;
  state_->toucher = std::thread([memory, bytes] {
    for (std::int64_t at = 0; at < bytes; at += page) memory[at] = std::byte{0};
  });
}

void AsyncCheckpointWriter::begin(Communicator& comm, const std::filesystem::path& path, const std::vector<CheckpointTensor>& tensors,
                                  const RunRecord& run, const LaunchRecord& launch, bool verify) {
  STRATA_ASSERT(!active(), "a save was begun before the last one was finished");
  state_->join_toucher();
  state_->first_rank = comm.rank() == 0;
  state_->done = false;
  state_->error = nullptr;
  state_->job.emplace(comm, path, tensors, run, launch, verify);
  try {
    guarded(comm, [&] {
      state_->job->reserve_snapshot(state_->snapshot);
      state_->set_copied(false);
      state_->thread = std::thread(&State::work, state_.get());
    });
  } catch (...) {
    if (state_->thread.joinable()) state_->thread.join();
    state_->set_copied(true);
    if (state_->first_rank) state_->job->discard();
    state_->job.reset();
    throw;
  }
}

void AsyncCheckpointWriter::settle() {
  std::unique_lock lock(state_->mutex);
  state_->copied_changed.wait(lock, [&] { return state_->copied; });
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
