#pragma once
// Unit traffic: what a strategy does while a model runs; weights come and gradients go unit by unit.
#include <map>
#include <memory>
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
  /// `gather` is null where parameters are whole. Without `overlap`, weights that were updated elsewhere are waited for at once.
  UnitTraffic(ParameterGather* gather, GradientReduction& reduction, UnitUses uses, bool overlap)
      : gather_(gather), reduction_(reduction), uses_(std::move(uses)), waits_(gather || !overlap) {}

  /// A pass begins; `stream` computes (and copies) also where the rank has no leaf and only goes through the motions.
  void begin_training_pass(Stream& stream) { begin(stream, uses_.train, true); }
  /// Gradients of a training pass go nowhere: for passes that are made again, or only looked at.
  void begin_quiet_training_pass(Stream& stream) { begin(stream, uses_.train, false); }
  void begin_evaluation_pass(Stream& stream) { begin(stream, uses_.evaluate, false); }

  /// What is under way comes to its end, and what was gathered is forgotten: the parameters are about to change, or the step is dropped.
  /// Collective over the group.
  void settle() {
    settle_weights();
    if (gather_) gather_->forget();
  }
  /// Weights of a unit that others have updated are on their way (begin_spread); from now on use() waits for them.
  void expect(int unit, std::unique_ptr<Transfer> weights);
  /// A unit's weights were updated in host memory, behind the mark.
  void written(int unit, const GpuMark& mark) {
    if (gather_) gather_->written(unit, mark);
  }
  /// All units have been updated: from now on weights come behind the next pass, where that can be.
  void weights_under_way() {
    if (waits_) settle_weights();
  }
  /// Returns when all weights are there: for who reads them outside a pass, and before their memory goes.
  void settle_weights();

  void use(int unit) override;
  Write open_gradient(int unit) override { return scattering_ ? reduction_.open(unit) : Write::set; }
  void close_gradient(int unit) override;
  /// Whether use(), open_gradient() and close_gradient() of the pass that has begun do more than give ops to the stream.
  bool use_acts() const { return gather_ || !coming_.empty(); }
  bool open_acts() const { return scattering_ && reduction_.opening_acts(); }
  bool close_acts() const { return scattering_ && reduction_.closing_acts(); }
  /// Where the units of the pass that has begun will lie, what is added into what, and whose calls act, as numbers: passes alike in it give
  /// the stream the same ops with the same memory.
  std::vector<std::int64_t> describe_pass() const;

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
  bool waits_;
  std::map<int, std::unique_ptr<Transfer>> coming_;  // weights, by unit
  bool scattering_ = false, polling_ = false;
};

/// Writes down what a pass uses.
class UnitRecorder final : public UnitHooks {
 public:
  void use(int unit) override { uses.push_back(unit); }
  std::vector<int> uses;
};

}  // namespace strata
