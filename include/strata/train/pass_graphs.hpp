#pragma once
// Pass graphs: forward and backward of a micro-batch given to the GPU as one graph rather than op by op (doc/cuda.md).
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "strata/device/arena.hpp"
#include "strata/device/gpu.hpp"
#include "strata/models/model.hpp"

namespace strata {

struct StepParts;

/// Passes that give the GPU the same ops with the same memory are alike (UnitTraffic::describe_pass()). The first of a kind runs as ever,
/// so that all that is made on first use is there; the second is captured; from then on its graph is launched. Where the strategy acts
/// between units (weights come, gradients go), the pass is a row of graphs with those calls between them. Numbers that change from
/// micro-batch to micro-batch lie in memory. The bits are those of running op by op.
class PassGraphs {
 public:
  /// Takes "batch.arguments". With `required` a pass that cannot be captured ends the run; without, all run as ever from then on.
  PassGraphs(Arena& arena, bool required);
  /// model.forward_backward() of the leaf in p.activations, whose round has begun in p.traffic and p.reduction. Local, but for what the
  /// strategy does between units.
  void run(StepParts& p, const Model& model, const FlatBuffer& gradient, double scale);
  /// Whether a capture is under way: what is no part of the pass then gives nothing to the GPU, and asks nothing of it.
  bool capturing() const { return capturing_; }
  /// Passes that were launched as graphs, and all of them.
  std::int64_t launched() const { return launched_; }
  std::int64_t passes() const { return all_; }

 private:
  enum class Call { none, use, open, close };
  /// Ops, then a call of the strategy's; `place` is where the unit was after it.
  struct Piece {
    std::unique_ptr<GpuGraph> graph;  // null: no op
    Call call = Call::none;
    int unit = 0;
    const void* place = nullptr;
  };
  struct Pass {
    std::int64_t runs = 0;
    std::vector<Piece> pieces;
  };
  class Recorder;

  void set_arguments(StepParts& p, double scale);
  void run_plainly(StepParts& p, const Model& model, const FlatBuffer& gradient, double scale) const;
  bool capture(Pass& pass, StepParts& p, const Model& model, const FlatBuffer& gradient, double scale);
  void replay(const Pass& pass, StepParts& p, const FlatBuffer& gradient);
  static const void* call(Call call, int unit, StepParts& p, const FlatBuffer& gradient);
  void give_up(const std::string& reason);

  bool required_, off_ = false, capturing_ = false;
  View scale_;              // f64 [1]: by which the pass's gradients are multiplied
  View step_;               // i32 [1]: of the optimizer
  double scale_there_ = 0;  // what lies there, once `given_`
  std::uint32_t step_there_ = 0;
  bool given_ = false;
  std::map<std::vector<std::int64_t>, Pass> passes_;
  std::int64_t captured_ = 0, launched_ = 0, all_ = 0;
};

}  // namespace strata
