#pragma once
// Set-up of a training run's memory: the same code runs on a planning arena, then on a real one of exactly that size.
#include <memory>

#include "strata/device/config.hpp"
#include "strata/models/causal_lm.hpp"
#include "strata/parallel/config.hpp"
#include "strata/train/config.hpp"
#include "strata/train/step.hpp"

namespace strata {

/// What decides a run's memory.
struct TrainShape {
  PassShape pass;  // batch.micro x data.sequence
  DType compute = DType::f32;
  bool document_mask = false;
  ActivationPolicy activations;
  std::int64_t most_leaves = 1;  // of a step
  std::int64_t block = 1;
  bool fast_reduction = false;
  StepSettings step;
};

/// Everything of a run that lives in the arena.
class TrainSetup {
 public:
  /// Takes all memory of the run from `arena`, in a fixed order.
  TrainSetup(Arena& arena, const Communicator& comm, const CausalLm& model, const TrainShape& shape);
  TrainState& state() { return state_; }
  GradientReduction& reduction() { return reduction_; }
  CausalLm::Activations& activations() { return activations_; }
  TrainStep& step() { return step_; }

 private:
  TrainState state_;
  GradientReduction reduction_;
  CausalLm::Activations activations_;
  TrainStep step_;
};

/// What a rank will allocate, and what one leaf's passes cost.
struct TrainPlan {
  std::vector<ArenaEntry> entries;     // every region by name
  std::vector<ArenaEntry> groups;      // by the first part of the name
  std::int64_t bytes = 0;              // the arena
  std::int64_t workspace_bytes = 0;    // the largest any op asked for
  std::map<std::string, OpCost> leaf;  // forward and backward of one leaf, by op
  double leaf_flops() const;
};

/// Runs the set-up and one leaf on the plan device: nothing is allocated. Local.
TrainPlan plan_training(const Communicator& comm, const CausalLm& model, const TrainShape& shape, int threads);
/// The memory table for the log and plan.txt.
std::string memory_table(const TrainPlan& plan);

}  // namespace strata
