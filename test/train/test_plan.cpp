// A plan against the run it foresees: bytes of memory, bytes and messages of communication, operations, for every strategy.
#include <gtest/gtest.h>

#include "strata/models/causal_lm.hpp"
#include "strata/train/setup.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

CausalConfig small_model(int hidden = 64) {
  return parse_model_config(
      text(R"({"model_type": "qwen3", "vocab_size": 300, "intermediate_size": 96, "num_hidden_layers": 3, "hidden_size": )", hidden, R"(,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "hidden_act": "silu", "max_position_embeddings": 64,
    "rms_norm_eps": 1e-6, "rope_theta": 10000, "tie_word_embeddings": true, "attention_bias": false})"),
      "test");
}

// Leaves that need no file.
class Counting final : public LeafSource {
 public:
  std::int64_t counted(std::int64_t) override { return 16; }
  void fill(std::int64_t leaf, CausalLm::Activations& a) override {
    for (std::int64_t i = 0; i < a.inputs.elements(); ++i)
      a.inputs.as<std::int32_t>()[i] = static_cast<std::int32_t>((leaf * 31 + i * 7) % 300), a.labels.as<std::int32_t>()[i] = 3;
  }
};

struct Case {
  const char* strategy;
  int group;
  DType compute;
  bool fast;
  int node = 0;
  ActivationPolicy activations = {};
  bool offload = false;  // parameters and optimizer
};

std::vector<Case> cases(int ranks) {
  std::vector<Case> all;
  for (const DType compute : {DType::f32, DType::bf16}) {
    for (const char* strategy : {"ddp", "zero1", "zero2", "fsdp"}) all.push_back({strategy, 0, compute, false});
    all.push_back({"hybrid", 1, compute, false});
    if (ranks % 2 == 0) all.push_back({"hybrid", 2, compute, false});
  }
  for (const char* strategy : {"ddp", "zero1", "zero2", "fsdp"})
    for (const Recompute recompute : {Recompute::none, Recompute::selective, Recompute::full})
      for (const bool offload : {false, true})
        if (recompute != Recompute::none || offload) all.push_back({strategy, 0, DType::bf16, false, 0, {recompute, offload}, offload});
  if (ranks == 4)
    for (const char* strategy : {"ddp", "zero1", "zero2", "fsdp", "hybrid"}) all.push_back({strategy, 1, DType::bf16, false, 2});
  for (const char* strategy : {"ddp", "zero1", "zero2", "fsdp", "hybrid"}) all.push_back({strategy, 1, DType::f32, true});
  if (ranks % 2 == 0) all.push_back({"hybrid", 2, DType::f32, true});
  return all;
}

TrainShape shape_of(const Case& c, std::int64_t leaves) {
  TrainShape shape;
  shape.pass = {2, 8};
  shape.compute = c.compute;
  shape.strategy = c.strategy, shape.group = c.group, shape.node = c.node;
  shape.reduction.most_leaves = leaves, shape.reduction.fast = c.fast, shape.reduction.bucket = 8192;
  shape.step.clip = 1.0;
  shape.activations = c.activations, shape.offload_parameters = shape.offload_optimizer = c.offload;
  return shape;
}

void compare(const Case& c, std::int64_t leaves) {
  SCOPED_TRACE(text(c.strategy, " in groups of ", c.group, ", ", name_of(c.compute), c.fast ? " fast, " : ", ", leaves,
                    " leaves, recompute ", static_cast<int>(c.activations.recompute), c.offload ? ", all offloaded" : ""));
  const auto comm = make_mpi_communicator();
  const CausalLm model(small_model());
  const TrainShape shape = shape_of(c, leaves);
  const TrainPlan plan = plan_training(*comm, model, shape, 1);

  ThreadPool pool(1);
  Arena arena(plan.bytes);
  const Mesh mesh(*comm, strategy_of(c.strategy), c.group, c.node);
  TrainSetup setup(arena, mesh, model, shape);
  Stream stream = Stream::cpu(pool, arena, plan.workspace_bytes);
  EXPECT_EQ(arena.used(), plan.bytes);
  EXPECT_EQ(arena.entries().size(), plan.entries.size());
  model.prepare(setup.activations());
  random_weights(stream, model.parameters(), 0.02, 1, setup.state().weights());
  stream.reset_costs();
  StepParts parts = setup.parts(stream);
  Counting source;
  for (std::int64_t t = 1; t <= 2; ++t) {
    const Traffic before = comm->traffic();
    stream.reset_costs();
    setup.step().run(parts, source, leaves, 1e-3, t);
    if (comm->rank() != 0) continue;
    const Traffic counted = comm->traffic().since(before);
    EXPECT_TRUE(counted == plan.traffic);
    for (const Call call : {Call::exchange, Call::parameters, Call::gradients, Call::sums, Call::gather, Call::reduce, Call::fast_reduce}) {
      EXPECT_EQ(counted[call].calls, plan.traffic[call].calls) << name_of(call);
      EXPECT_EQ(counted[call].messages, plan.traffic[call].messages) << name_of(call);
      EXPECT_EQ(counted[call].sent.all(), plan.traffic[call].sent.all()) << name_of(call);
      EXPECT_EQ(counted[call].received.all(), plan.traffic[call].received.all()) << name_of(call);
    }
    // No assertion ends this rank early: the others would wait.
    EXPECT_EQ(stream.costs().size(), plan.step.size());
    for (const auto& [op, cost] : stream.costs()) {
      const auto planned = plan.step.find(op);
      EXPECT_NE(planned, plan.step.end()) << op;
      if (planned == plan.step.end()) continue;
      EXPECT_EQ(cost.calls, planned->second.calls) << op;
      EXPECT_EQ(cost.flops, planned->second.flops) << op;
      EXPECT_EQ(cost.bytes, planned->second.bytes) << op;
    }
  }
  setup.traffic().settle_weights();
}

TEST(Plan, IsWhatAStepTakesComputesAndSends) {
  for (const Case& c : cases(make_mpi_communicator()->size()))
    for (const std::int64_t leaves : {1, 4, 7, 8}) compare(c, leaves);
}

TEST(Plan, OpsBySizesAddUpToOps) {
  const auto comm = make_plan_communicator(4, 2);
  const CausalLm model(small_model());
  const TrainPlan plan = plan_training(*comm, model, shape_of({"fsdp", 0, DType::bf16, false}, 8), 1);
  std::map<std::string, OpCost> sums;
  for (const auto& [op, cost] : plan.ops) {
    EXPECT_GT(op.second.sizes[0], 0) << op.first << " tells no size";
    sums[op.first].calls += cost.calls, sums[op.first].flops += cost.flops;
  }
  ASSERT_EQ(sums.size(), plan.step.size());
  for (const auto& [op, cost] : plan.step) {
    EXPECT_EQ(sums.at(op).calls, cost.calls) << op;
    EXPECT_DOUBLE_EQ(sums.at(op).flops, cost.flops) << op;
  }
  EXPECT_EQ(plan.rounds, 2);
  EXPECT_EQ(plan.most_rounds, 2);
  // Half of the others are on other hosts.
  EXPECT_GT(plan.traffic[Call::parameters].received.network, plan.traffic[Call::parameters].received.host);
}

// Of two hosts of four ranks: all that leaves a host for the sum of gradients is one piece of it, rather than one of each rank.
TEST(Plan, HostsFoldBeforeGradientsLeaveThem) {
  const auto comm = make_plan_communicator(8, 4);
  const CausalLm model(small_model(2048));
  for (const char* strategy : {"ddp", "zero1", "zero2", "fsdp"}) {
    const Call call = std::string(strategy) == "ddp" || std::string(strategy) == "zero1" ? Call::sums : Call::gradients;
    const auto sent = [&](int node, std::int64_t leaves) {
      const TrainPlan plan = plan_training(*comm, model, shape_of({strategy, 0, DType::f32, false, node}, leaves), 1);
      return plan.traffic[call].sent;
    };
    // Shards differ by a block of 4,096 elements at most.
    EXPECT_NEAR(static_cast<double>(sent(1, 8).network) / static_cast<double>(sent(0, 8).network), 4, 1) << strategy;
    EXPECT_GT(sent(0, 8).host, sent(1, 8).host) << strategy;
    // Seven leaves of once-a-step strategies are no subtrees of the hosts.
    if (call == Call::sums) {
      EXPECT_EQ(sent(0, 7).network, sent(1, 7).network) << strategy;
    }
  }
}

// The rank that has most leaves decides; rank 0 may have none.
TEST(Plan, RankZeroMayBeIdle) {
  const auto comm = make_plan_communicator(3, 3);
  const CausalLm model(small_model());
  const TrainPlan idle = plan_training(*comm, model, shape_of({"ddp", 0, DType::f32, false}, 2), 1);
  EXPECT_EQ(idle.rounds, 0);
  EXPECT_EQ(idle.most_rounds, 1);
  const TrainPlan busy = plan_training(*comm, model, shape_of({"ddp", 0, DType::f32, false}, 3), 1);
  EXPECT_EQ(idle.workspace_bytes, busy.workspace_bytes);
}

}  // namespace
}  // namespace strata::test
