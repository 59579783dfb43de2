// How many sequences each step takes, and where a run ends.
#include <algorithm>
#include <limits>

#include "strata/train/loop.hpp"

namespace strata {

StepPlan::StepPlan(const BatchConfig& batch, const TrainConfig& train, std::int64_t samples, int ranks)
    : batch_(batch), samples_(samples), ranks_(ranks) {
  STRATA_ASSERT(samples > 0 && batch.micro > 0, samples, " samples, micro ", batch.micro);
  limit_ = train.epochs > 0 ? train.epochs * samples : std::numeric_limits<std::int64_t>::max();
  const std::int64_t most = train.max_steps > 0 ? train.max_steps : std::numeric_limits<std::int64_t>::max();
  if (train.epochs == 0) {
    total_steps_ = most;
    return;
  }
  for (std::int64_t cursor = 0; total_steps_ < most; ++total_steps_) {
    const std::int64_t sequences = sequences_at(cursor);
    if (sequences == 0) break;
    cursor += sequences;
  }
}

// The accumulation of an epoch is the entry with the largest key not above it; 1 before the first (semantics S13).
std::int64_t StepPlan::global_at(std::int64_t cursor) const {
  if (batch_.accumulation.empty()) return batch_.global > 0 ? batch_.global : batch_.micro * ranks_;
  std::int64_t factor = 1;
  for (const auto& [from, value] : batch_.accumulation)
    if (cursor / samples_ >= from) factor = value;
  return batch_.micro * factor * ranks_;
}

std::int64_t StepPlan::sequences_at(std::int64_t cursor) const {
  return std::max<std::int64_t>(0, std::min(global_at(cursor), limit_ - cursor));
}

std::int64_t StepPlan::most_leaves() const {
  std::int64_t most = leaves(global_at(0));
  for (const auto& [from, value] : batch_.accumulation) most = std::max(most, value * ranks_), (void)from;
  return most;
}

std::int64_t StepPlan::steps_per_epoch() const {
  return (samples_ + global_at(0) - 1) / global_at(0);
}

}  // namespace strata
