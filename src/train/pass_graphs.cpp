#include "strata/train/pass_graphs.hpp"

#include <algorithm>
#include <optional>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/base/log.hpp"
#include "strata/tensor/values.hpp"
#include "strata/train/step.hpp"

namespace strata {
namespace {

// Passes of different kinds whose graphs are kept; others run op by op. A step of n micro-batches on one rank has about log2 n kinds.
constexpr std::int64_t most_captured = 64;

}  // namespace

// Stands between model and strategy while a pass is captured: a call that acts ends one graph, and the next begins behind it.
class PassGraphs::Recorder final : public UnitHooks {
 public:
  Recorder(StepParts& parts, const FlatBuffer& gradient, bool& capturing)
      : p_(parts),
        gradient_(gradient),
        capturing_(capturing),
        use_acts_(parts.traffic.use_acts()),
        open_acts_(parts.traffic.open_acts()),
        close_acts_(parts.traffic.close_acts()) {
    begin();
  }
  ~Recorder() override { capturing_ = false; }

  void use(int unit) override {
    if (use_acts_) cut(Call::use, unit);
  }
  Write open_gradient(int unit) override {
    if (!open_acts_) return p_.traffic.open_gradient(unit);
    cut(Call::open, unit);
    return Write::set;
  }
  void close_gradient(int unit) override { close_acts_ ? cut(Call::close, unit) : p_.traffic.close_gradient(unit); }

  std::vector<Piece> finish() {
    end({nullptr, Call::none, 0, nullptr});
    return std::move(pieces_);
  }
  // Whether the strategy, and the GPU, are as before the pass.
  bool nothing_done() const { return pieces_.empty(); }

 private:
  void begin() {
    capture_.emplace(*p_.stream.gpu());
    capturing_ = true;
  }
  void end(Piece piece) {
    capturing_ = false;
    piece.graph = capture_->take();
    capture_.reset();
    if (piece.graph) piece.graph->launch();
    pieces_.push_back(std::move(piece));
  }
  void cut(Call what, int unit) {
    end({nullptr, what, unit, nullptr});
    pieces_.back().place = call(what, unit, p_, gradient_);
    begin();
  }

  StepParts& p_;
  const FlatBuffer& gradient_;
  bool& capturing_;
  bool use_acts_, open_acts_, close_acts_;
  std::optional<GpuCapture> capture_;
  std::vector<Piece> pieces_;
};

PassGraphs::PassGraphs(Arena& arena, bool required)
    : required_(required),
      scale_(take(arena, "batch.arguments", DType::f64, Shape{1})),
      step_(take(arena, "batch.arguments", DType::i32, Shape{1})) {}

void PassGraphs::run(StepParts& p, const Model& model, const FlatBuffer& gradient, double scale) {
  all_ += 1;
  if (off_) return run_plainly(p, model, gradient, scale);
  set_arguments(p, scale);
  Pass& pass = passes_[p.traffic.describe_pass()];
  pass.runs += 1;
  if (!pass.pieces.empty())
    replay(pass, p, gradient);
  else if (pass.runs == 1 || captured_ == most_captured || !capture(pass, p, model, gradient, scale))
    run_plainly(p, model, gradient, scale);
}

void PassGraphs::set_arguments(StepParts& p, double scale) {
  const std::uint32_t step = p.activations.encoder.step;
  if (!given_ || scale != scale_there_) set_values(scale_, std::vector{scale});
  if (!given_ || step != step_there_) set_values(step_, std::vector{static_cast<std::int32_t>(step)});
  given_ = true, scale_there_ = scale, step_there_ = step;
}

void PassGraphs::run_plainly(StepParts& p, const Model& model, const FlatBuffer& gradient, double scale) const {
  Context context{p.stream, p.weights, &gradient, &p.traffic};
  model.forward_backward(context, p.activations, scale);
}

// False: it cannot be, and nothing has happened.
bool PassGraphs::capture(Pass& pass, StepParts& p, const Model& model, const FlatBuffer& gradient, double scale) {
  const std::int64_t free = captured_ == 0 ? p.stream.gpu()->free_bytes() : 0;
  std::optional<Recorder> recorder;
  try {
    recorder.emplace(p, gradient, capturing_);
    p.activations.encoder.step_at = step_;
    Context context{p.stream, p.weights, &gradient, &*recorder};
    model.forward_backward(context, p.activations, Factor(scale, scale_));
    p.activations.encoder.step_at = View();
    pass.pieces = recorder->finish();
  } catch (const Error& e) {
    p.activations.encoder.step_at = View();
    const char* const op = p.stream.last_op();
    const std::string reason = text("a micro-batch cannot be captured, at the op ", op ? op : "none", ": ", e.what());
    if (required_ || !recorder || !recorder->nothing_done()) {
      if (e.code() != ExitCode::internal) throw;
      throw InternalError(text("device.graphs = ", required_ ? "on" : "auto", ": ", reason, "; device.graphs = off runs without graphs"));
    }
    recorder.reset();
    give_up(reason);
    return false;
  }
  captured_ += 1, launched_ += 1;
  if (captured_ > 1) return true;
  std::int64_t ops = 0, graphs = 0;
  for (const Piece& piece : pass.pieces)
    if (piece.graph) ops += piece.graph->pieces(), graphs += 1;
  log_info(text("CUDA graphs: a micro-batch is ", ops, " kernels and copies in ", graphs, graphs == 1 ? " graph" : " graphs",
                ", which took ", bytes_text(static_cast<double>(std::max<std::int64_t>(0, free - p.stream.gpu()->free_bytes()))),
                " of the GPU's memory"));
  return true;
}

void PassGraphs::replay(const Pass& pass, StepParts& p, const FlatBuffer& gradient) {
  for (const Piece& piece : pass.pieces) {
    if (piece.graph) piece.graph->launch();
    const void* const place = call(piece.call, piece.unit, p, gradient);
    STRATA_ASSERT(place == piece.place, "unit ", piece.unit, " lies elsewhere than when the pass was captured");
  }
  launched_ += 1;
}

// Returns where the unit's weights, or its gradient, are from now on.
const void* PassGraphs::call(Call call, int unit, StepParts& p, const FlatBuffer& gradient) {
  switch (call) {
    case Call::none:
      return nullptr;
    case Call::use:
      p.traffic.use(unit);
      return p.weights.unit(unit).data();
    case Call::open:
      STRATA_ASSERT(p.traffic.open_gradient(unit) == Write::set, "a gradient that travels is added to");
      return gradient.unit(unit).data();
    case Call::close:
      p.traffic.close_gradient(unit);
      return nullptr;
  }
  return nullptr;
}

void PassGraphs::give_up(const std::string& reason) {
  off_ = true;
  passes_.clear();
  log_info(text("CUDA graphs: off from here on, ", reason));
}

}  // namespace strata
