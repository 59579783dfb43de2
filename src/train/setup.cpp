#include "strata/train/setup.hpp"

#include <algorithm>
#include <cstdio>

#include "strata/base/clock.hpp"
#include "strata/base/fault.hpp"
#include "strata/base/phase.hpp"
#include "strata/comm/gpu_communicator.hpp"

namespace strata {

namespace {

// Units in the order in which passes use them, found by going through the motions of a leaf on `stream`.
UnitUses record_uses(Stream& stream, const Model& model, Activations& activations, DType compute) {
  const ParameterSet& set = model.parameters();
  FlatBuffer nothing(set);
  for (std::size_t u = 0; u < set.units().size(); ++u)
    nothing.place(static_cast<int>(u), View(nullptr, compute, Shape{set.units()[u].elements}));
  FlatBuffer gradients(set);
  for (std::size_t u = 0; u < set.units().size(); ++u)
    gradients.place(static_cast<int>(u), View(nullptr, compute == DType::f64 ? DType::f64 : DType::f32, Shape{set.units()[u].elements}));
  UnitRecorder train, evaluate;
  Context both{stream, nothing, &gradients, &train};
  model.forward_backward(both, activations, 1.0);
  Stream aside = Stream::plan();
  Context forward{aside, nothing, nullptr, &evaluate};
  model.forward(forward, activations);
  return {train.uses, evaluate.uses};
}

UnitUses record_uses(const Model& model, Activations& activations, DType compute) {
  Stream stream = Stream::plan();
  return record_uses(stream, model, activations, compute);
}

// Leaves without samples.
class NoData final : public LeafSource {
 public:
  std::int64_t counted(std::int64_t) override { return 1; }
  void fill(std::int64_t, Activations&) override {}
};

std::int64_t most_rounds(const LeafRounds& rounds, int replicas) {
  std::int64_t most = 0;
  for (int r = 0; r < replicas; ++r) most = std::max(most, rounds.rounds(r));
  return most;
}

}  // namespace

TrainSetup::TrainSetup(Arena& arena, const Mesh& mesh, const Model& model, const TrainShape& shape)
    : mesh_(mesh),
      state_(arena, shape.compute, StateLayout::of(model.parameters(), mesh, shape.offload_parameters, shape.offload_optimizer)),
      gather_(mesh.parameters().size() > 1 || shape.offload_parameters
                  ? std::optional<ParameterGather>(std::in_place, arena, state_.layout().weights.part, state_.weights().weight,
                                                   shape.compute, mesh.parameters(), shape.prefetch + 1)
                  : std::nullopt),
      reduction_(arena, model.parameters(), shape.compute == DType::f64 ? DType::f64 : DType::f32, mesh, shape.reduction),
      activations_(model.take_activations(arena, shape.pass, shape.compute, PassKind::train, shape.document_mask, shape.activations)),
      traffic_(gather_ ? &*gather_ : nullptr, reduction_, record_uses(model, activations_, shape.compute),
               shape.reduction.overlap && mesh.hides(mesh.optimizer())),
      step_(arena, model, state_, mesh, shape.step),
      graphs_(shape.graphs ? std::optional<PassGraphs>(std::in_place, arena, shape.graphs_required) : std::nullopt) {
  activations_.encoder.seed = shape.seed;
}

double TrainPlan::leaf_flops() const {
  double flops = 0;
  for (const auto& [name, cost] : leaf) flops += cost.flops;
  return flops;
}

TrainPlan plan_training(const Communicator& comm, const Model& model, const TrainShape& shape, int threads) {
  Arena arena;
  Stream stream = Stream::plan(shape.device);
  stream.use_attention(shape.attention);
  const auto staging = std::make_shared<PlannedStaging>();
  const auto ranks = shape.device == DeviceKind::cuda && comm.size() > 1
                         ? make_plan_gpu_communicator(comm.size(), comm.local_size(), staging)
                         : make_plan_communicator(comm.size(), comm.local_size());
  const Mesh mesh(*ranks, strategy_of(shape.strategy), shape.group, shape.node);
  TrainSetup setup(arena, mesh, model, shape);
  TrainPlan plan;
  plan.leaves = shape.reduction.most_leaves, plan.units = static_cast<std::int64_t>(model.parameters().units().size());
  const Traffic before = ranks->traffic();
  StepParts parts = setup.parts(stream);
  NoData source;
  setup.step().run(parts, source, plan.leaves, 1.0, planned_step);
  Phase::set_step(0), Phase::enter("the set-up of the run");
  plan.traffic = ranks->traffic().since(before);
  plan.staging_bytes = staging->bytes();
  plan.step = stream.costs(), plan.ops = stream.planned();
  plan.rounds = setup.reduction().round_count();
  plan.most_rounds = most_rounds(setup.reduction().rounds(), mesh.replicas().size());
  // A rank may have no leaf in this step, and one in another.
  Stream leaf = Stream::plan(shape.device);
  leaf.use_attention(shape.attention);
  record_uses(leaf, model, setup.activations(), shape.compute);
  plan.leaf = leaf.costs(), plan.leaf_ops = leaf.planned();
  plan.workspace_bytes = std::max(stream.largest_workspace(), leaf.largest_workspace());
  Stream::plan_memory(arena, shape.device, threads, plan.workspace_bytes);
  plan.bytes = arena.used(), plan.host_bytes = arena.host_used();
  plan.entries = arena.entries();
  plan.groups = arena.summary(1);
  return plan;
}

std::string memory_table(const TrainPlan& plan) {
  std::string table = "Memory of one rank\n";
  char line[128];
  for (const ArenaEntry& group : plan.groups) {
    std::snprintf(line, sizeof line, "  %-24s %16lld bytes  %10s\n", group.name.c_str(), static_cast<long long>(group.bytes),
                  bytes_text(static_cast<double>(group.bytes)).c_str());
    table += line;
  }
  std::snprintf(line, sizeof line, "  %-24s %16lld bytes  %10s", "arena", static_cast<long long>(plan.bytes),
                bytes_text(static_cast<double>(plan.bytes)).c_str());
  return table + line;
}

}  // namespace strata
