#include "strata/train/step.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "strata/base/fault.hpp"
#include "strata/base/phase.hpp"
#include "strata/ops/elementwise.hpp"
#include "strata/optim/clip.hpp"
#include "strata/tensor/fold.hpp"
#include "strata/tensor/values.hpp"
#include "strata/train/non_finite.hpp"
#include "strata/train/pass_graphs.hpp"
#include "strata/train/profile.hpp"
#include "strata/train/signals.hpp"

namespace strata {
namespace {

// While a step runs, every op's front moves the communication on.
class Meanwhile {
 public:
  explicit Meanwhile(StepParts& parts) : stream_(parts.stream) {
    stream_.set_meanwhile([&stream = parts.stream, &traffic = parts.traffic, graphs = parts.graphs] {
      if (graphs && graphs->capturing()) return;
      const auto timed = stream.time(phase::gradients);
      traffic.poll();
    });
  }
  ~Meanwhile() { stream_.set_meanwhile({}); }
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;

 private:
  Stream& stream_;
};

Communicator& norm_group(const Mesh& mesh) {
  return mesh.strategy().shards_optimizer ? mesh.optimizer() : mesh.world();
}

// Where the unit's parameters end in a stretch of it, counted from its beginning.
std::vector<std::int64_t> ends_of(const ParameterSet& set, int u, Range own) {
  const Unit& unit = set.units()[static_cast<std::size_t>(u)];
  std::vector<std::int64_t> ends;
  for (int p = unit.first; p < unit.first + unit.count; ++p)
    if (const Range here = common(own, {set[p].offset, set[p].offset + set[p].elements()}); here.count() > 0)
      ends.push_back(here.last - own.first);
  return ends;
}

// The same as AdamW takes them: neighbours that decay alike are one.
std::vector<AdamwSegment> segments_of(const ParameterSet& set, int u, Range own, const OptimizerConfig& optimizer) {
  const Unit& unit = set.units()[static_cast<std::size_t>(u)];
  std::vector<AdamwSegment> segments;
  for (int p = unit.first; p < unit.first + unit.count; ++p) {
    const Range here = common(own, {set[p].offset, set[p].offset + set[p].elements()});
    if (here.count() == 0) continue;
    const bool decays = decay_applies(optimizer.decay, set[p].shape.rank(), set[p].name);
    if (segments.empty() || segments.back().decays != decays) segments.push_back({0, decays});
    segments.back().end = here.last - own.first;
  }
  return segments;
}

// Elements [own.first, own.last) of a unit.
View part_of(const FlatBuffer& buffer, int u, Range own) {
  return buffer.given() ? buffer.unit(u).rows(own.first - buffer.range(u).first, own.count()) : View();
}

}  // namespace

double fold_rows(const View& row_loss) {
  return fold(values_of<double>(row_loss));
}

void gather_leaves(Communicator& comm, std::vector<double>& values, const LeafRounds& rounds) {
  std::vector<int> owners;
  std::vector<std::size_t> counts(static_cast<std::size_t>(comm.size()), 0), at(counts.size(), 0);
  for (std::size_t leaf = 0; leaf < values.size(); ++leaf) {
    owners.push_back(rounds.rank_of(static_cast<std::int64_t>(leaf)));
    counts[static_cast<std::size_t>(owners.back())] += 1;
  }
  std::exclusive_scan(counts.begin(), counts.end(), at.begin(), std::size_t{0});
  std::vector<double> by_rank(values.size());
  auto next = at;
  const auto place = [&](std::size_t leaf) { return next[static_cast<std::size_t>(owners[leaf])]++; };
  for (std::size_t leaf = 0; leaf < values.size(); ++leaf) by_rank[place(leaf)] = values[leaf];
  for (std::size_t& count : counts) count *= sizeof(double);
  comm.all_gather_v(by_rank.data() + at[static_cast<std::size_t>(comm.rank())], counts, by_rank.data());
  next = at;
  for (std::size_t leaf = 0; leaf < values.size(); ++leaf) values[leaf] = by_rank[place(leaf)];
}

TrainStep::TrainStep(Arena& arena, const Model& model, const TrainState& state, const Mesh& mesh, const StepSettings& settings)
    : model_(model),
      state_(state),
      settings_(settings),
      stage_(arena, state),
      idle_(Stream::plan()),
      norm_part_(model.parameters(), norm_group(mesh).size(), norm_group(mesh).rank()) {
  // As many as any rank sums, so that all ranks' plans are one.
  std::int64_t most = 1;
  for (int r = 0; r < norm_group(mesh).size(); ++r) most = std::max(most, norm_part_.blocks(r));
  partials_ = take(arena, "workspace.norm", DType::f64, Shape{most});
  const ParameterSet& set = model.parameters();
  for (int u = 0; u < static_cast<int>(set.units().size()); ++u) {
    norm_ends_.push_back(ends_of(set, u, norm_part_.elements(u)));
    segments_.push_back(segments_of(set, u, state.layout().optimizer.part.elements(u), settings.optimizer));
  }
}

// Labels of the whole step, from the data alone.
std::int64_t TrainStep::count_labels(StepParts& parts, LeafSource& source, std::int64_t t) {
  Phase::enter("the count of tokens");
  counted_.clear();
  for (std::int64_t round = 0; round < parts.reduction.round_count(); ++round) {
    const auto timed = parts.stream.time(phase::data);
    const std::int64_t leaf = parts.reduction.leaf_of(round);
    if (leaf >= 0) counted_.push_back(source.counted(leaf));
  }
  const auto timed = parts.stream.time(phase::sums);
  const std::int64_t all = parts.mesh.world().all_sum(std::accumulate(counted_.begin(), counted_.end(), std::int64_t{0}));
  if (all == 0 && !parts.stream.planning())
    throw_error(ExitCode::data, text("step ", t, " has no token that counts in the loss: every label is masked"), true);
  return all;
}

// Whether a signal has come. The ranks of a group, who need each other in every round, agree.
bool TrainStep::stops(const Mesh& mesh, StopAgreement* stop) const {
  if (!stop) return false;
  const int wish = stop->look(pending_signal());
  return (mesh.shards().size() > 1 ? mesh.shards().all_max(wish) : wish) != 0;
}

void TrainStep::run_round(StepParts& p, LeafSource& source, std::int64_t round, std::int64_t t) {
  const std::int64_t leaf = p.reduction.leaf_of(round);
  Phase::enter("micro-batch", leaf >= 0 ? leaf : p.reduction.rounds().last(p.mesh.replicas().rank()) - 1);
  STRATA_FAULT("leaf", t);
  p.traffic.begin_training_pass(p.stream);
  const FlatBuffer& gradient = p.reduction.begin_round(round);
  p.activations.encoder.step = static_cast<std::uint32_t>(t);
  if (leaf < 0) {
    Context motions{idle_, p.weights, &gradient, &p.traffic};
    model_.forward_backward(motions, p.activations, 1.0);
  } else {
    {
      const auto timed = p.stream.time(phase::data);
      source.fill(leaf, p.activations);
    }
    const double weight = scales_[static_cast<std::size_t>(round)], scale = weight * p.loss_scale.value();
    Context context{p.stream, p.weights, &gradient, &p.traffic};
    if (p.graphs && p.stream.on_gpu())
      p.graphs->run(p, model_, gradient, scale);
    else
      model_.forward_backward(context, p.activations, scale);
    // What is updated first comes while the backward pass is still computed.
    if (round + 1 == p.reduction.round_count()) stage_.begin(p.stream);
    if (fault_poisons(t, leaf)) set_values(p.activations.row_loss.rows(0, 1), std::vector{std::nan("")});
    if (!p.stream.planning()) leaf_loss_[static_cast<std::size_t>(leaf)] = fold_rows(p.activations.row_loss) * weight;
  }
}

StepResult TrainStep::run(StepParts& p, LeafSource& source, std::int64_t leaves, double lr, std::int64_t t, StopAgreement* stop) {
  Phase::set_step(t);
  GradientReduction& reduction = p.reduction;
  reduction.begin(p.stream, leaves);
  StepResult result;
  result.counted = count_labels(p, source, t);
  // Every leaf is scaled by the step's own count, so that no mean of means is taken.
  scales_.clear();
  for (std::int64_t own : counted_)
    scales_.push_back(settings_.microbatch_mean ? 1.0 / static_cast<double>(std::max<std::int64_t>(own, 1) * leaves)
                                                : 1.0 / static_cast<double>(result.counted));
  leaf_loss_.assign(static_cast<std::size_t>(leaves), 0.0);
  {
    const Meanwhile meanwhile(p);
    for (std::int64_t round = 0; round < reduction.round_count() && !stops(p.mesh, stop); ++round) run_round(p, source, round, t);
  }
  STRATA_FAULT("exchange", t);
  Phase::enter("the gradient exchange");
  if (stop && (result.stopped_by = stop->decide(pending_signal()))) {
    p.traffic.settle();
    reduction.drop();
    return result;
  }
  {
    const auto timed = p.stream.time(phase::sums);
    gather_leaves(p.mesh.world(), leaf_loss_, reduction.rounds());
  }
  result.loss = fold(leaf_loss_);
  const FlatBuffer& gradient = [&]() -> const FlatBuffer& {
    const auto timed = p.stream.time(phase::gradients);
    return reduction.finish();
  }();
  // The loss scale is a power of two: what is divided by it is the unscaled number to the bit.
  result.grad_norm = gradient_norm(p, gradient) / p.loss_scale.value();
  if (!std::isfinite(result.loss) || !std::isfinite(result.grad_norm)) {
    if ((result.overflow = p.loss_scale.can_fall())) return result;
    stage_.settle(p.stream);
    result.not_finite = locate_not_finite(p, model_, state_.weights().weight, source, leaves, scales_, t);
    const bool adapts = p.loss_scale.adapts();
    if (settings_.skip_non_finite && !adapts) return result;
    throw_error(ExitCode::diverged,
                text("step ", t, ": loss ", result.loss, ", gradient norm ", result.grad_norm, ". The first tensor that is not finite is ",
                     result.not_finite, adapts ? p.loss_scale.exhausted_text() : "", ". The parameters are those of step ", t - 1,
                     "; lower optimizer.lr, raise schedule.warmup_steps, look at the data of this step, or ",
                     adapts ? "compute in bf16" : "pass over such steps with train.non_finite = skip"),
                true);
  }
  Phase::enter("the update");
  STRATA_FAULT("update", t);
  const OptimizerConfig& o = settings_.optimizer;
  p.traffic.settle();
  if (p.before_update) p.before_update();
  const auto timed = p.stream.time(phase::optimizer);
  const double factor = clip_coefficient(result.grad_norm, settings_.clip) / p.loss_scale.value();
  update(p, gradient, {lr, o.beta1, o.beta2, o.eps, o.weight_decay, t - p.loss_scale.overflows(), factor});
  return result;
}

// Squares are summed by those who have them, block by block of every parameter; the sums are gathered, and folded inside each unit, then
// over units.
double TrainStep::gradient_norm(StepParts& p, const FlatBuffer& gradient) {
  Communicator& group = norm_group(p.mesh);
  const ParameterSet& set = model_.parameters();
  const auto units = static_cast<int>(set.units().size());
  std::vector<std::int64_t> begin(static_cast<std::size_t>(group.size()) + 1, 0);  // [blocks] of each rank
  for (int r = 0; r < group.size(); ++r) begin[static_cast<std::size_t>(r) + 1] = begin[static_cast<std::size_t>(r)] + norm_part_.blocks(r);
  std::int64_t at = 0;
  for (int u = 0; u < units; ++u) {
    const std::int64_t blocks = norm_part_.blocks(u, norm_part_.part()).count();
    if (blocks == 0) continue;
    sum_of_squares(p.stream, part_of(gradient, u, norm_part_.elements(u)), norm_ends_[static_cast<std::size_t>(u)],
                   partials_.rows(at, blocks));
    at += blocks;
  }
  const auto count_of = [&](int r) { return begin[static_cast<std::size_t>(r) + 1] - begin[static_cast<std::size_t>(r)]; };
  {
    const auto timed = p.stream.time(phase::sums);
    std::vector<std::size_t> bytes;
    for (int r = 0; r < group.size(); ++r) bytes.push_back(static_cast<std::size_t>(count_of(r)) * sizeof(double));
    const std::vector<double> own = p.stream.planning() ? std::vector<double>() : values_of<double>(partials_.rows(0, at));
    sums_.resize(static_cast<std::size_t>(begin.back()));
    group.all_gather_v(own.data(), bytes, sums_.data());
  }
  if (p.stream.planning()) return 1.0;
  std::vector<double> of_units, blocks;
  for (int u = 0; u < units; ++u) {
    blocks.clear();
    for (int r = 0; r < group.size(); ++r) {
      const auto count = norm_part_.blocks(u, r).count();
      const double* first = sums_.data() + begin[static_cast<std::size_t>(r)];
      blocks.insert(blocks.end(), first, first + count);
      begin[static_cast<std::size_t>(r)] += count;
    }
    of_units.push_back(fold(blocks));
  }
  return std::sqrt(fold(of_units));
}

// Where parameters are whole but their update is shared out, each unit's shards travel while the next units are updated and the next pass
// begins.
void TrainStep::update(StepParts& parts, const FlatBuffer& gradient, const AdamwStep& step) {
  const StateLayout& layout = state_.layout();
  const bool spreads = layout.weights.part.parts() != layout.optimizer.part.parts();
  const auto units = static_cast<int>(model_.parameters().units().size());
  std::vector<GpuMark> written;
  const auto spread = [&](int u) {
    wait_for(parts.stream, written[static_cast<std::size_t>(u)]);  // what is sent from host memory is read by the host
    parts.traffic.expect(u, begin_spread(parts.mesh.optimizer(), layout.optimizer.part, state_.weights().weight, u));
  };
  // From host memory a unit is sent while the next one is updated.
  const int late = layout.weights_on_host ? 1 : 0;
  if (!stage_.begun()) stage_.begin(parts.stream);
  for (int u = 0; u < units; ++u) {
    stage_.use(parts.stream, u);
    update_unit(parts.stream, gradient, step, u);
    const GpuMark sent = stage_.send_back(parts.stream, u);
    written.push_back(layout.weights_on_host ? sent : GpuMark{});
    parts.traffic.written(u, written.back());
    STRATA_FAULT("spread", step.t);
    if (spreads && u >= late) spread(u - late);
  }
  if (spreads && late == 1) spread(units - 1);
  stage_.end();
  const auto timed = parts.stream.time(phase::gradients);
  parts.traffic.weights_under_way();
}

void TrainStep::update_unit(Stream& stream, const FlatBuffer& gradient, const AdamwStep& step, int u) const {
  const Range own = state_.layout().optimizer.part.elements(u);
  if (own.count() == 0) return;
  const StateStage::Tensors& state = stage_.tensors();
  adamw_update(stream, part_of(state.weight, u, own), part_of(state.rest, u, own), part_of(gradient, u, own),
               part_of(state.exp_avg, u, own), part_of(state.exp_avg_sq, u, own), step, segments_[static_cast<std::size_t>(u)]);
}

}  // namespace strata
