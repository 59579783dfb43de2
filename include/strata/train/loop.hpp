#pragma once
// The training loop: steps, validation, checkpoints, early stopping, until the deck's end.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "strata/checkpoint/config.hpp"
#include "strata/data/config.hpp"
#include "strata/data/order.hpp"
#include "strata/optim/schedule.hpp"
#include "strata/train/config.hpp"
#include "strata/train/file_leaves.hpp"
#include "strata/train/profile.hpp"
#include "strata/train/setup.hpp"
#include "strata/train/validation.hpp"

namespace strata {

/// How many sequences each step takes, and where the run ends (design.md, "Data order").
class StepPlan {
 public:
  StepPlan(const BatchConfig& batch, const TrainConfig& train, std::int64_t samples, int ranks);
  /// Sequences of the step that begins at `cursor`: the last step of `epochs` may be smaller. 0: the data is used up.
  std::int64_t sequences_at(std::int64_t cursor) const;
  /// Micro-batches of a step of so many sequences; the last one may be partly empty.
  std::int64_t leaves(std::int64_t sequences) const { return (sequences + batch_.micro - 1) / batch_.micro; }
  /// The position at which `epochs` end; the largest number without them.
  std::int64_t end() const { return limit_; }
  std::int64_t most_leaves() const;
  /// Steps of the whole run: max_steps, or those of `epochs`, whichever is less.
  std::int64_t total_steps() const { return total_steps_; }
  /// Steps of the first epoch.
  std::int64_t steps_per_epoch() const;
  double epoch_at(std::int64_t cursor) const { return static_cast<double>(cursor) / static_cast<double>(samples_); }

 private:
  std::int64_t global_at(std::int64_t cursor) const;
  BatchConfig batch_;
  std::int64_t samples_, limit_;
  int ranks_;
  std::int64_t total_steps_ = 0;
};

/// Sequences that a validation takes of those that are there.
inline std::int64_t validated_sequences(const TrainConfig& train, std::int64_t there) {
  return train.validation_sequences > 0 ? std::min(train.validation_sequences, there) : there;
}

/// Everything the loop works with; made by the train command.
struct LoopParts {
  Communicator& comm;
  Stream& stream;
  const Model& model;
  TrainSetup& setup;
  FileLeaves& leaves;
  FileLeaves* validation;      // in file order; null: none
  ValidationScoring* scoring;  // null: the loss decides what is best
  RunConfig run;
  DataConfig data;
  BatchConfig batch;
  TrainConfig train;
  CheckpointConfig checkpoint;
  Schedule schedule;
  StepPlan plan;
  RunRecord record;  // step 0, or that of the checkpoint resumed from
  LaunchRecord launch;
  bool moving_line;           // one progress line on the terminal
  Peaks peaks = {};           // with run.profile: of this rank
  LossScale loss_scale = {};  // at the beginning of training
};

struct LoopResult {
  RunRecord record;
  std::filesystem::path checkpoint;  // the last one written; empty if none
  double validation_loss = 0;        // the last one of this launch; NaN: none
  std::optional<AnswerQuality> answers;
  bool interrupted = false;  // stopped by a signal, with a checkpoint
  bool stopped_early = false;
  Profile profile;          // with run.profile
  std::int64_t steps = 0;   // taken by this launch
  double step_seconds = 0;  // median of its steps but the first; of one step, that
};

/// Runs until max_steps, epochs, early stopping or a signal. Collective over parts.comm.
LoopResult run_training(LoopParts& parts);

}  // namespace strata
