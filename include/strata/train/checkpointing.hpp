#pragma once
// Checkpoints of a run: when one is written, under which name, in the background or not, and what stays.
#include <filesystem>
#include <memory>

#include "strata/checkpoint/async_writer.hpp"
#include "strata/checkpoint/catalogue.hpp"
#include "strata/train/config.hpp"
#include "strata/train/state.hpp"

namespace strata {

class Checkpointing {
 public:
  Checkpointing(Communicator& comm, const TrainState& state, const RunConfig& run, const CheckpointConfig& config);
  ~Checkpointing();
  /// Writes the state of record.step; in the background with checkpoint.asynchronous, after the one before is done. `best`: the best so far
  /// by validation. Collective.
  void save(const RunRecord& record, const LaunchRecord& launch, bool best);
  /// save() unless this step has been saved already. Collective.
  void save_if_new(const RunRecord& record, const LaunchRecord& launch);
  /// Returns once a save in the background has copied the state, which may change from now on. Local.
  void settle();
  /// Commits a save in the background if every rank's part is on disk. Collective.
  void poll();
  /// Waits for a save in the background. Collective.
  void finish();
  /// The last checkpoint that is whole; empty if none was written.
  const std::filesystem::path& newest() const { return newest_; }

 private:
  void committed(const SaveTimes& own);
  Communicator& comm_;
  const TrainState& state_;
  CheckpointConfig config_;
  std::filesystem::path folder_, newest_, pending_path_;
  std::unique_ptr<AsyncCheckpointWriter> writing_;
  bool pending_best_ = false;
  std::int64_t saved_step_ = -1;
  double waited_ = 0;  // [s] that training has waited for the save under way
};

}  // namespace strata
