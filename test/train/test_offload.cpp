// State and activations in host memory: the same bits after every step as where everything stays on the device. On the emulation copies and
// work wait for one another by marks alone, so that a mark that is missing shows as another bit.
#include <gtest/gtest.h>

#include "strata/models/bert_qa.hpp"
#include "strata/models/causal_lm.hpp"
#include "strata/tensor/values.hpp"
#include "strata/train/setup.hpp"
#include "support/device.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

std::unique_ptr<Model> causal(int layers) {
  return std::make_unique<CausalLm>(parse_model_config(
      text(R"({"model_type": "qwen3", "vocab_size": 200, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": )", layers, R"(,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "hidden_act": "silu", "max_position_embeddings": 64,
    "rms_norm_eps": 1e-6, "rope_theta": 10000, "tie_word_embeddings": false, "attention_bias": false})"),
      "test"));
}

std::unique_ptr<Model> bert() {
  BertConfig config;
  config.family = "bert", config.L = 4;
  config.layer.H = 32, config.layer.F = 48, config.layer.nh = 2;
  config.tables.V = 100, config.tables.positions = 16, config.tables.types = 2;
  return std::make_unique<BertForQuestionAnswering>(config);
}

// Leaves that need no file.
class Numbers final : public LeafSource {
 public:
  explicit Numbers(bool answers) : answers_(answers) {}
  std::int64_t counted(std::int64_t) override { return answers_ ? 4 : 16; }
  void fill(std::int64_t leaf, Activations& a) override {
    const auto set = [](const View& to, auto&& value) {
      std::vector<std::int32_t> values(static_cast<std::size_t>(to.elements()));
      for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::int32_t>(value(i));
      set_values(to, values);
    };
    set(a.inputs, [&](std::size_t i) { return (static_cast<std::size_t>(leaf) * 31 + i * 7) % 100; });
    set(a.labels, [&](std::size_t i) { return (static_cast<std::size_t>(leaf) + i) % 8; });
    if (!answers_) return;
    set(a.encoder.types, [](std::size_t i) { return i % 8 < 3 ? 0 : 1; });
    set(a.encoder.lengths, [](std::size_t) { return 8; });
  }

 private:
  bool answers_;
};

struct Offload {
  bool parameters = false, optimizer = false, activations = false;
  Recompute recompute = Recompute::none;
};

/// The bits of everything that a run keeps, and what it came to, after each of a few steps.
struct Outcome {
  std::vector<std::vector<unsigned char>> state;
  std::vector<double> losses;
};

std::vector<unsigned char> bytes_of(const View& view) {
  std::vector<unsigned char> bytes(static_cast<std::size_t>(view.bytes()));
  copy_memory(bytes.data(), view.data(), view.bytes());
  return bytes;
}

LossScale overflowing() {
  PrecisionConfig config;
  config.compute = "fp16", config.initial_scale = 0x1p1000;
  return LossScale(config);
}

Outcome run(const Model& model, DType compute, const Offload& offload, bool look_between) {
  constexpr std::int64_t leaves = 2;
  const auto comm = make_self_communicator();
  TrainShape shape;
  shape.device = test_device(), shape.pass = {2, 8}, shape.compute = compute;
  shape.reduction.most_leaves = leaves, shape.step.clip = 1.0;
  shape.offload_parameters = offload.parameters, shape.offload_optimizer = offload.optimizer;
  shape.activations = {offload.recompute, offload.activations};
  const TrainPlan plan = plan_training(*comm, model, shape, 2);
  ThreadPool pool(2);
  Arena arena = test_arena(plan.bytes, plan.host_bytes);
  const Mesh mesh(*comm, strategy_of("ddp"));
  TrainSetup setup(arena, mesh, model, shape);
  Stream stream = test_stream(pool, arena, plan.workspace_bytes);
  EXPECT_EQ(arena.used(), plan.bytes);
  model.prepare(setup.activations());
  random_weights(stream, model.parameters(), 0.02, 1, setup.state().weights());
  Numbers source(model.answers_questions());
  StepParts parts = setup.parts(stream);
  Outcome outcome;
  constexpr std::int64_t steps = 3;
  for (std::int64_t t = 1; t <= steps; ++t) {
    // The second step's gradients overflow: its update is left out, and state had set out for it.
    parts.loss_scale = t == 2 ? overflowing() : LossScale();
    const StepResult result = setup.step().run(parts, source, leaves, 1e-2, t);
    EXPECT_EQ(result.overflow, t == 2);
    outcome.losses.push_back(result.loss);
    if (!look_between && t < steps) continue;  // nothing of it waits for the device
    setup.step().settle(stream);
    for (const FlatBuffer* buffer :
         {&setup.state().weights().weight, &setup.state().weights().rest(), &setup.state().exp_avg(), &setup.state().exp_avg_sq()})
      if (buffer->given()) outcome.state.push_back(bytes_of(buffer->flat()));
  }
  return outcome;
}

// The bits where all stays on the device, against those of each way.
void compare(const Model& model, DType compute, const std::vector<Offload>& ways) {
  const Outcome looked = run(model, compute, {}, true), kept = run(model, compute, {}, false);
  for (const Offload& way : ways)
    for (const bool look : {false, true}) {
      if (look && !way.optimizer) continue;
      const Outcome found = run(model, compute, way, look);
      const Outcome& expected = look ? looked : kept;
      const std::string what = text(name_of(compute), way.parameters ? ", parameters" : "", way.optimizer ? ", optimizer" : "",
                                    way.activations ? ", activations" : "", ", recompute ", static_cast<int>(way.recompute),
                                    look ? ", looked at after each step" : "");
      EXPECT_EQ(found.losses, expected.losses) << what;
      ASSERT_EQ(found.state.size(), expected.state.size()) << what;
      for (std::size_t i = 0; i < found.state.size(); ++i) EXPECT_TRUE(found.state[i] == expected.state[i]) << what << ", tensor " << i;
    }
}

const std::vector<Offload> every_way{{true, false, false},
                                     {false, true, false},
                                     {true, true, false},
                                     {false, false, true},
                                     {false, false, true, Recompute::selective},
                                     {false, false, true, Recompute::full},
                                     {true, true, true}};

TEST(Offload, ChangesNoBit) {
  compare(*causal(5), DType::bf16, every_way);
}

// Units of a kind are fewer than their slots, as many, and more.
TEST(Offload, ChangesNoBitOfFewLayers) {
  for (const int layers : {1, 2}) compare(*causal(layers), DType::bf16, {{true, true, true}});
}

TEST(Offload, ChangesNoBitInAnyType) {
  compare(*causal(3), DType::f32, {{true, true, true}});
  if (tests_on_gpu()) compare(*causal(3), DType::f16, {{true, true, true}});
}

TEST(Offload, ChangesNoBitOfAnEncoder) {
  compare(*bert(), DType::bf16, {{true, true, true}});
}

}  // namespace
}  // namespace strata::test
