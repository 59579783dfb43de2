#include "strata/train/checkpointing.hpp"

#include <cmath>
#include <cstdio>

#include "strata/base/clock.hpp"
#include "strata/base/fault.hpp"
#include "strata/base/log.hpp"
#include "strata/base/phase.hpp"
#include "strata/checkpoint/writer.hpp"
#include "strata/io/file.hpp"

namespace strata {

Checkpointing::Checkpointing(Communicator& comm, const TrainState& state, const RunConfig& run, const CheckpointConfig& config)
    : comm_(comm), state_(state), config_(config), folder_(std::filesystem::path(run.folder) / "checkpoints") {
  guarded(comm, [&] {
    if (comm.rank() != 0) return;
    make_folders(folder_);
    remove_unfinished(folder_);
    remove_unfinished(run.folder);
  });
  if (!config.asynchronous) return;
  writing_ = std::make_unique<AsyncCheckpointWriter>();
  guarded(comm, [&] { writing_->prepare(AsyncCheckpointWriter::snapshot_bytes(state.checkpoint_tensors())); });
}

Checkpointing::~Checkpointing() = default;

void Checkpointing::save(const RunRecord& record, const LaunchRecord& launch, bool best) {
  finish();
  Phase::enter("the save of the checkpoint");
  const auto tensors = state_.checkpoint_tensors();
  const auto path = folder_ / checkpoint_file_name(config_.name, record.step, record.epoch, record.loss);
  saved_step_ = record.step;
  pending_path_ = path, pending_best_ = best;
  const Stopwatch watch;
  if (writing_) {
    writing_->begin(comm_, path, tensors, record, launch, config_.verify);
    waited_ = watch.seconds();
    return;
  }
  const SaveTimes times = write_checkpoint(comm_, path, tensors, record, launch, config_.verify);
  waited_ = watch.seconds();
  committed(times);
}

void Checkpointing::save_if_new(const RunRecord& record, const LaunchRecord& launch) {
  if (saved_step_ != record.step) save(record, launch, false);
}

void Checkpointing::settle() {
  if (!writing_ || !writing_->active()) return;
  const Stopwatch watch;
  writing_->settle();
  waited_ += watch.seconds();
}

void Checkpointing::poll() {
  if (writing_ && writing_->active() && comm_.all_min(writing_->done()) == 1) finish();
}

void Checkpointing::finish() {
  if (!writing_ || !writing_->active()) return;
  const Stopwatch watch;
  Phase::enter("the end of the save in the background");
  writing_->finish(comm_);
  waited_ += watch.seconds();
  committed(writing_->times());
}

// The file is whole under its name: now `latest` may point at it. What is said is the time of the rank that took longest.
void Checkpointing::committed(const SaveTimes& own) {
  guarded(comm_, [&] {
    if (comm_.rank() == 0) update_catalogue(folder_, pending_path_.filename().string(), pending_best_, config_);
  });
  STRATA_FAULT("save.done", saved_step_);
  newest_ = pending_path_;
  const auto longest = [&](double seconds) { return static_cast<double>(comm_.all_max(std::llround(seconds * 1e6))) * 1e-6; };
  const double write = longest(own.write), read_back = longest(own.read_back), waited = longest(waited_);
  char line[160];
  std::snprintf(line, sizeof line, ": %.3f GB in %.3f s", static_cast<double>(checkpoint_bytes(state_.checkpoint_tensors())) * 1e-9, write);
  std::string rest = line;
  if (config_.verify) std::snprintf(line, sizeof line, ", read back in %.3f s", read_back), rest += line;
  if (writing_) std::snprintf(line, sizeof line, "; training waited %.3f s", waited), rest += line;
  log_info(text("Checkpoint ", newest_.string(), " written", rest, pending_best_ ? ", best so far" : ""));
}

}  // namespace strata
