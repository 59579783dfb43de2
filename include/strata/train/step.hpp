#pragma once
// One optimizer step: leaves forward and backward, canonical reduction, clipping, AdamW.
#include <functional>
#include <string>

#include "strata/comm/communicator.hpp"
#include "strata/comm/stop_agreement.hpp"
#include "strata/models/causal_lm.hpp"
#include "strata/ops/adamw.hpp"
#include "strata/optim/config.hpp"
#include "strata/parallel/reduction.hpp"
#include "strata/train/state.hpp"

namespace strata {

/// Where a step's leaves come from. Leaf k of a step holds the same samples whoever asks.
class LeafSource {
 public:
  virtual ~LeafSource() = default;
  /// Labels that count in leaf `leaf` of the step, from the data alone. Local.
  virtual std::int64_t counted(std::int64_t leaf) = 0;
  /// Writes inputs, labels (and first_key) of leaf `leaf`. Leaves are asked for in rising order. Local.
  virtual void fill(std::int64_t leaf, CausalLm::Activations& activations) = 0;
  /// The same once more, in any order, for a leaf that fill() has given already. Local.
  virtual void fill_again(std::int64_t leaf, CausalLm::Activations& activations) { fill(leaf, activations); }
};

struct StepSettings {
  OptimizerConfig optimizer;
  double clip = 0;               // 0: off
  bool microbatch_mean = false;  // semantics S6: every leaf weighs the same, whatever it counts
  bool skip_non_finite = false;  // a loss or gradient that is not finite drops the update instead of ending the run
};

struct StepResult {
  double loss = 0;           // mean over the step's counted tokens
  double grad_norm = 0;      // before clipping
  std::int64_t counted = 0;  // [tokens] in the loss
  std::string not_finite;    // the first tensor that is not finite, for which the update was skipped; empty: it was made
  int stopped_by = 0;        // the signal for which the step was dropped before its update; 0: it was taken
};

class TrainStep {
 public:
  TrainStep(Arena& arena, const CausalLm& model, const TrainState& state, const StepSettings& settings);
  /// Update number t (from 1) at learning rate lr over `leaves` leaves. Parameters are untouched if it throws (DivergenceError: a loss or
  /// gradient that is not finite, naming the first tensor; with skip_non_finite it does not throw, and parameters and moments stay). With
  /// `stop`, a signal on any rank ends the step at the next leaf of each: all drop it, and nothing has changed. Collective over `comm`.
  StepResult run(Stream& stream, Communicator& comm, GradientReduction& reduction, CausalLm::Activations& activations, LeafSource& source,
                 std::int64_t leaves, double lr, std::int64_t t, StopAgreement* stop = nullptr);

 private:
  double gradient_norm(Stream& stream, Communicator& comm, const FlatBuffer& gradient);
  void update(Stream& stream, const FlatBuffer& gradient, AdamwStep step) const;

  const CausalLm& model_;
  const TrainState& state_;
  StepSettings settings_;
  View partials_;  // f64, one per 4,096 elements of the flat gradient
  std::vector<double> leaf_loss_;
};

/// Sum of f64 row losses in the canonical order. Local.
double fold_rows(const View& row_loss);
/// values[i] of every leaf, where each rank has filled those of its own contiguous run [begin(r), begin(r + 1)), on every rank. Collective.
void gather_runs(Communicator& comm, std::vector<double>& values, const std::function<std::int64_t(int)>& begin);

}  // namespace strata
