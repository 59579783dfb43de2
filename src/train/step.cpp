#include "strata/train/step.hpp"

#include <cmath>

#include "strata/base/fault.hpp"
#include "strata/base/phase.hpp"
#include "strata/ops/elementwise.hpp"
#include "strata/optim/clip.hpp"
#include "strata/tensor/fold.hpp"
#include "strata/train/non_finite.hpp"
#include "strata/train/profile.hpp"
#include "strata/train/signals.hpp"

namespace strata {
namespace {
constexpr std::int64_t chunk = ParameterSet::unit_alignment;
}

double fold_rows(const View& row_loss) {
  return fold(std::span<const double>(row_loss.as<double>(), static_cast<std::size_t>(row_loss.elements())));
}

void gather_runs(Communicator& comm, std::vector<double>& values, const std::function<std::int64_t(int)>& begin) {
  std::vector<std::size_t> counts;
  for (int r = 0; r < comm.size(); ++r) counts.push_back(static_cast<std::size_t>(begin(r + 1) - begin(r)) * sizeof(double));
  comm.all_gather_v(values.data() + begin(comm.rank()), counts, values.data());
}

TrainStep::TrainStep(Arena& arena, const CausalLm& model, const TrainState& state, const StepSettings& settings)
    : model_(model), state_(state), settings_(settings) {
  partials_ = take(arena, "workspace.norm", DType::f64, Shape{model.parameters().padded_elements() / chunk});
}

StepResult TrainStep::run(Stream& stream, Communicator& comm, GradientReduction& reduction, CausalLm::Activations& activations,
                          LeafSource& source, std::int64_t leaves, double lr, std::int64_t t, StopAgreement* stop) {
  reduction.begin(leaves);
  Phase::set_step(t);
  Phase::enter("the count of tokens");
  std::vector<std::int64_t> counted;
  std::int64_t mine = 0;
  for (std::int64_t leaf = reduction.first(); leaf < reduction.last(); ++leaf) {
    const auto timed = stream.time(phase::data);
    counted.push_back(source.counted(leaf)), mine += counted.back();
  }
  StepResult result;
  {
    const auto timed = stream.time(phase::sums);
    result.counted = comm.all_sum(mine);
  }
  if (result.counted == 0)
    throw_error(ExitCode::data, text("step ", t, " has no token that counts in the loss: every label is masked"), true);

  leaf_loss_.assign(static_cast<std::size_t>(leaves), 0.0);
  std::vector<double> scales;
  for (std::int64_t leaf = reduction.first(); leaf < reduction.last(); ++leaf) {
    if (stop && stop->look(pending_signal())) break;
    Phase::enter("micro-batch", leaf);
    STRATA_FAULT("leaf", t);
    // Every leaf is scaled by the step's own count, so that no mean of means is taken.
    const std::int64_t own = counted[static_cast<std::size_t>(leaf - reduction.first())];
    const double weight = scales.emplace_back(settings_.microbatch_mean ? 1.0 / static_cast<double>(std::max<std::int64_t>(own, 1) * leaves)
                                                                        : 1.0 / static_cast<double>(result.counted));
    {
      const auto timed = stream.time(phase::data);
      source.fill(leaf, activations);
    }
    Context context{stream, state_.weights().weight, &reduction.leaf()};
    model_.forward_backward(context, activations, weight);
    if (fault_poisons(t, leaf)) activations.row_loss.as<double>()[0] = std::nan("");
    reduction.leaf_done(stream);
    leaf_loss_[static_cast<std::size_t>(leaf)] = fold_rows(activations.row_loss) * weight;
  }
  STRATA_FAULT("exchange", t);
  Phase::enter("the gradient exchange");
  if (stop && (result.stopped_by = stop->decide(pending_signal()))) return result;
  {
    const auto timed = stream.time(phase::sums);
    gather_runs(comm, leaf_loss_, [&](int r) { return first_leaf(leaves, reduction.block(), r, comm.size()); });
  }
  result.loss = fold(leaf_loss_);
  const FlatBuffer& gradient = [&]() -> const FlatBuffer& {
    const auto timed = stream.time(phase::gradients);
    return reduction.finish(stream, comm);
  }();
  result.grad_norm = gradient_norm(stream, comm, gradient);
  if (!std::isfinite(result.loss) || !std::isfinite(result.grad_norm)) {
    result.not_finite = locate_not_finite(stream, comm, model_, state_.weights().weight, reduction, activations, source, leaves, scales, t);
    if (settings_.skip_non_finite) return result;
    throw_error(ExitCode::diverged,
                text("step ", t, ": loss ", result.loss, ", gradient norm ", result.grad_norm, ". The first tensor that is not finite is ",
                     result.not_finite, ". The parameters are those of step ", t - 1,
                     "; lower optimizer.lr, raise schedule.warmup_steps, look at the data of this step, or pass over such steps with "
                     "train.non_finite = skip"),
                true);
  }

  Phase::enter("the update");
  STRATA_FAULT("update", t);
  const auto timed = stream.time(phase::optimizer);
  const OptimizerConfig& o = settings_.optimizer;
  update(stream, gradient, {lr, o.beta1, o.beta2, o.eps, 0.0, t, clip_coefficient(result.grad_norm, settings_.clip)});
  return result;
}

// Squares are summed by rank over stretches of chunks, the sums gathered, and folded inside each unit, then over units.
double TrainStep::gradient_norm(Stream& stream, Communicator& comm, const FlatBuffer& gradient) {
  const std::int64_t chunks = partials_.elements();
  const auto begin = [&](int r) { return chunks * r / comm.size(); };
  const std::int64_t first = begin(comm.rank()), count = begin(comm.rank() + 1) - first;
  if (count) sum_of_squares(stream, gradient.flat().rows(first * chunk, count * chunk), partials_.rows(first, count));
  std::vector<std::size_t> counts;
  for (int r = 0; r < comm.size(); ++r) counts.push_back(static_cast<std::size_t>(begin(r + 1) - begin(r)) * sizeof(double));
  auto* sums = partials_.as<double>();
  {
    const auto timed = stream.time(phase::sums);
    comm.all_gather_v(sums + first, counts, sums);
  }
  std::vector<double> units;
  for (const Unit& unit : model_.parameters().units())
    units.push_back(
        fold(std::span<const double>(sums + unit.offset / chunk, static_cast<std::size_t>((unit.elements + chunk - 1) / chunk))));
  return std::sqrt(fold(units));
}

void TrainStep::update(Stream& stream, const FlatBuffer& gradient, AdamwStep step) const {
  const WeightStore& weights = state_.weights();
  for (std::size_t i = 0; i < model_.parameters().parameters().size(); ++i) {
    const int p = static_cast<int>(i);
    const Parameter& parameter = model_.parameters()[p];
    const Shape flat{parameter.elements()};
    step.weight_decay =
        decay_applies(settings_.optimizer.decay, parameter.shape.rank(), parameter.name) ? settings_.optimizer.weight_decay : 0.0;
    adamw_update(stream, weights.weight.parameter(p).reshaped(flat),
                 weights.remainder.given() ? weights.remainder.parameter(p).reshaped(flat) : View(), gradient.parameter(p).reshaped(flat),
                 state_.exp_avg().parameter(p).reshaped(flat), state_.exp_avg_sq().parameter(p).reshaped(flat), step);
  }
}

}  // namespace strata
