#pragma once
// Set-up of a training run's memory: the same code runs on a planning arena, then on a real one of exactly that size.
#include <optional>
#include <string>

#include "strata/device/config.hpp"
#include "strata/models/model.hpp"
#include "strata/parallel/config.hpp"
#include "strata/train/config.hpp"
#include "strata/train/pass_graphs.hpp"
#include "strata/train/step.hpp"

namespace strata {

/// What decides a run's memory.
struct TrainShape {
  DeviceKind device = DeviceKind::cpu;
  PassShape pass;  // batch.micro x data.sequence
  DType compute = DType::f32;
  bool document_mask = false;
  std::uint64_t seed = 0;  // of what the model drops
  ActivationPolicy activations;
  ReductionSettings reduction;
  std::string strategy = "ddp";
  int group = 0;     // [ranks] of a group of strategy hybrid; 0: those of a host
  int node = 0;      // [ranks] whose gradients are folded before the sum leaves for others; 0: those of a host
  int prefetch = 1;  // units gathered ahead of their use
  bool offload_parameters = false, offload_optimizer = false;
  StepSettings step;
  AttentionKernels attention = AttentionKernels::own;
  bool graphs = false, graphs_required = false;  // micro-batches as graphs of the GPU; with the second, or not at all
};

/// Everything of a run that lives in the arena.
class TrainSetup {
 public:
  /// Takes all memory of the run from `arena`, in a fixed order. `mesh` must outlive it.
  TrainSetup(Arena& arena, const Mesh& mesh, const Model& model, const TrainShape& shape);
  TrainSetup(const TrainSetup&) = delete;
  TrainSetup& operator=(const TrainSetup&) = delete;
  const Mesh& mesh() const { return mesh_; }
  TrainState& state() { return state_; }
  GradientReduction& reduction() { return reduction_; }
  UnitTraffic& traffic() { return traffic_; }
  Activations& activations() { return activations_; }
  TrainStep& step() { return step_; }
  /// Null: micro-batches run op by op.
  const PassGraphs* graphs() const { return graphs_ ? &*graphs_ : nullptr; }
  /// Weights as the model reads them: whole, or where units are gathered.
  const FlatBuffer& weights() const { return gather_ ? gather_->weights() : state_.weights().weight; }
  StepParts parts(Stream& stream) {
    StepParts parts{stream, mesh_, weights(), reduction_, traffic_, activations_};
    parts.graphs = graphs_ ? &*graphs_ : nullptr;
    return parts;
  }

 private:
  const Mesh& mesh_;
  TrainState state_;
  std::optional<ParameterGather> gather_;
  GradientReduction reduction_;
  Activations activations_;
  UnitTraffic traffic_;
  TrainStep step_;
  std::optional<PassGraphs> graphs_;
};

/// What rank 0 of a run will allocate, and what one of its steps consists of.
struct TrainPlan {
  std::vector<ArenaEntry> entries;     // every region by name
  std::vector<ArenaEntry> groups;      // by the first part of the name
  std::int64_t bytes = 0;              // the arena
  std::int64_t host_bytes = 0;         // of it what lies in the host's memory on any device
  std::int64_t workspace_bytes = 0;    // the largest any op asked for
  std::map<std::string, OpCost> leaf;  // forward and backward of one leaf, by op
  PlannedOps leaf_ops;                 // the same by op and sizes
  std::map<std::string, OpCost> step;  // a whole step of rank 0, by op
  PlannedOps ops;                      // the same by op and sizes
  Traffic traffic;                     // of the step
  std::int64_t staging_bytes = 0;      // page-locked memory of the host if data between GPUs goes through it; on one rank or the host none
  std::int64_t units = 0;              // that travel one by one
  std::int64_t leaves = 0;             // of the step, all ranks together
  std::int64_t rounds = 0;             // leaves of rank 0
  std::int64_t most_rounds = 0;        // leaves of the rank that has most, which decides how long a step takes
  double leaf_flops() const;
};

/// Runs the set-up and a step on the plan device, as rank 0 of comm.size() ranks, with the code that trains: nothing is allocated or sent.
/// Local.
TrainPlan plan_training(const Communicator& comm, const Model& model, const TrainShape& shape, int threads);
/// The memory table for the log and plan.txt.
std::string memory_table(const TrainPlan& plan);

}  // namespace strata
