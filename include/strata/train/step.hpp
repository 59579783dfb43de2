#pragma once
// One optimizer step: leaves forward and backward, canonical reduction, clipping, AdamW.
#include <functional>
#include <string>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/comm/stop_agreement.hpp"
#include "strata/models/model.hpp"
#include "strata/ops/adamw.hpp"
#include "strata/optim/config.hpp"
#include "strata/optim/loss_scale.hpp"
#include "strata/parallel/unit_traffic.hpp"
#include "strata/train/state_stage.hpp"

namespace strata {

/// Where a step's leaves come from. Leaf k of a step holds the same samples whoever asks.
class LeafSource {
 public:
  virtual ~LeafSource() = default;
  /// Labels that count in leaf `leaf` of the step, from the data alone. Local.
  virtual std::int64_t counted(std::int64_t leaf) = 0;
  /// Writes inputs, labels (and first_key, or an encoder's types, lengths and samples) of leaf `leaf`. Leaves are asked for in rising
  /// order. Local.
  virtual void fill(std::int64_t leaf, Activations& activations) = 0;
  /// The same once more, in any order, for a leaf that fill() has given already. Local.
  virtual void fill_again(std::int64_t leaf, Activations& activations) { fill(leaf, activations); }
};

struct StepSettings {
  OptimizerConfig optimizer;
  double clip = 0;               // 0: off
  bool microbatch_mean = false;  // semantics S6: every leaf weighs the same, whatever it counts
  bool skip_non_finite = false;  // a loss or gradient that is not finite drops the update instead of ending the run
};

struct StepResult {
  double loss = 0;           // mean over the step's labels that count
  double grad_norm = 0;      // before clipping, unscaled
  std::int64_t counted = 0;  // labels in the loss: tokens, or ends of answers
  std::string not_finite;    // the first tensor that is not finite, for which the update was skipped (train.non_finite = skip)
  bool overflow = false;     // the update was skipped for an overflow of scaled gradients: the loss scale is to fall
  int stopped_by = 0;        // the signal for which the step was dropped before its update; 0: it was taken

  bool updated() const { return not_finite.empty() && !overflow && stopped_by == 0; }
};

class PassGraphs;

/// What a step works with.
struct StepParts {
  Stream& stream;
  const Mesh& mesh;
  const FlatBuffer& weights;  // as the model reads them
  GradientReduction& reduction;
  UnitTraffic& traffic;
  Activations& activations;
  std::function<void()> before_update = {};  // called before parameters and moments change; may be empty
  LossScale loss_scale = {};                 // as it is in this step; 1 unless computing in fp16
  PassGraphs* graphs = nullptr;              // null: ops are given to the device one by one
};

class TrainStep {
 public:
  /// Takes "workspace.norm", and a stage for state in host memory.
  TrainStep(Arena& arena, const Model& model, const TrainState& state, const Mesh& mesh, const StepSettings& settings);
  /// Update number t (from 1) at learning rate lr over `leaves` leaves. Parameters are untouched if it throws (DivergenceError: a loss or
  /// gradient that is not finite, naming the first tensor; with skip_non_finite, or while the loss scale can fall, it does not throw, and
  /// parameters and moments stay). Updates missed for overflows do not count in AdamW's corrections. With `stop`, a signal on any rank ends
  /// the step at the next leaf of each: all drop it, and nothing has changed. Collective over the world of the mesh.
  StepResult run(StepParts& parts, LeafSource& source, std::int64_t leaves, double lr, std::int64_t t, StopAgreement* stop = nullptr);
  /// Returns when all state is where it is kept between steps, for the host to read. Local.
  void settle(Stream& stream) const { stage_.settle(stream); }

 private:
  std::int64_t count_labels(StepParts& parts, LeafSource& source, std::int64_t t);
  bool stops(const Mesh& mesh, StopAgreement* stop) const;
  void run_round(StepParts& parts, LeafSource& source, std::int64_t round, std::int64_t t);
  double gradient_norm(StepParts& parts, const FlatBuffer& gradient);
  void update(StepParts& parts, const FlatBuffer& gradient, const AdamwStep& step);
  void update_unit(Stream& stream, const FlatBuffer& gradient, const AdamwStep& step, int unit) const;

  const Model& model_;
  const TrainState& state_;
  StepSettings settings_;
  StateStage stage_;
  Stream idle_;                                       // on which a rank without a leaf goes through a round's motions
  Partition norm_part_;                               // whose squares this rank sums
  std::vector<std::vector<std::int64_t>> norm_ends_;  // by unit: where parameters end in what of it is summed here
  std::vector<std::vector<AdamwSegment>> segments_;   // by unit: what of it is updated here
  View partials_;                                     // f64, one per block of that part, unit by unit
  std::vector<double> sums_;                          // the same of all ranks, rank by rank
  std::vector<double> leaf_loss_;
  std::vector<std::int64_t> counted_;  // labels of this rank's leaves
  std::vector<double> scales_;         // by which they were scaled
};

/// Sum of f64 row losses in the canonical order. Local.
double fold_rows(const View& row_loss);
/// values[i] of every leaf, where each rank has filled those of its own, on every rank. Collective over `comm`.
void gather_leaves(Communicator& comm, std::vector<double>& values, const LeafRounds& rounds);

}  // namespace strata
