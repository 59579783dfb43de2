#pragma once
// Unit traffic: what a strategy does while a model runs; weights come and gradients go unit by unit.
#include <vector>

#include "strata/parallel/parameter_gather.hpp"
#include "strata/parallel/reduction.hpp"
#include "strata/parallel/unit_hooks.hpp"

namespace strata {

/// The order in which passes use the units.
struct UnitUses {
  std::vector<int> train, evaluate;
};

class UnitTraffic final : public UnitHooks {
 public:
  /// `gather` is null where parameters are whole.
  UnitTraffic(ParameterGather* gather, GradientReduction& reduction, UnitUses uses)
      : gather_(gather), reduction_(reduction), uses_(std::move(uses)) {}

  /// A pass begins; `stream` computes (and copies) also where the rank has no leaf and only goes through the motions.
  void begin_training_pass(Stream& stream) { begin(stream, uses_.train, true); }
  /// Gradients of a training pass go nowhere: for passes that are made again, or only looked at.
  void begin_quiet_training_pass(Stream& stream) { begin(stream, uses_.train, false); }
  void begin_evaluation_pass(Stream& stream) { begin(stream, uses_.evaluate, false); }

  /// What is under way comes to its end, and what was gathered is forgotten: the parameters are about to change, or the step is dropped.
  /// Collective over the group.
  void settle() {
    if (gather_) gather_->forget();
  }

  void use(int unit) override;
  void open_gradient(int unit) override {
    if (scattering_) reduction_.open(unit);
  }
  void close_gradient(int unit) override;
  /// Moves what is under way on; to be called now and then. Local.
  void poll();

 private:
  void begin(Stream& stream, const std::vector<int>& uses, bool scattering) {
    if (gather_) gather_->begin_pass(stream, uses);
    scattering_ = scattering;
  }
  ParameterGather* gather_;
  GradientReduction& reduction_;
  UnitUses uses_;
  bool scattering_ = false, polling_ = false;
};

/// Writes down what a pass uses.
class UnitRecorder final : public UnitHooks {
 public:
  void use(int unit) override { uses.push_back(unit); }
  std::vector<int> uses;
};

}  // namespace strata
