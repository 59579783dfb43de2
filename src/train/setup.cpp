#include "strata/train/setup.hpp"

#include <cstdio>

#include "strata/base/clock.hpp"

namespace strata {

TrainSetup::TrainSetup(Arena& arena, const Communicator& comm, const CausalLm& model, const TrainShape& shape)
    : state_(arena, model.parameters(), shape.compute),
      reduction_(arena, model.parameters(), shape.compute == DType::f64 ? DType::f64 : DType::f32, comm, shape.most_leaves, shape.block,
                 shape.fast_reduction),
      activations_(
          model.take_activations(arena, shape.pass, shape.compute, CausalLm::PassKind::train, shape.document_mask, shape.activations)),
      step_(arena, model, state_, shape.step) {}

double TrainPlan::leaf_flops() const {
  double flops = 0;
  for (const auto& [name, cost] : leaf) flops += cost.flops;
  return flops;
}

TrainPlan plan_training(const Communicator& comm, const CausalLm& model, const TrainShape& shape, int threads) {
  Arena arena;
  Stream stream = Stream::plan();
  TrainSetup setup(arena, comm, model, shape);
  setup.reduction().begin(1);
  Context context{stream, setup.state().weights().weight, &setup.reduction().leaf()};
  model.forward_backward(context, setup.activations(), 1.0);
  TrainPlan plan;
  plan.workspace_bytes = stream.largest_workspace();
  Stream::plan_memory(arena, threads, plan.workspace_bytes);
  plan.bytes = arena.used();
  plan.entries = arena.entries();
  plan.groups = arena.summary(1);
  plan.leaf = stream.costs();
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
