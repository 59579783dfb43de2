// AdamW runs against PyTorch's, step by step: loss, gradient norm, learning rate, and every parameter afterwards.
#include <gtest/gtest.h>

#include <cmath>

#include "strata/optim/schedule.hpp"
#include "strata/train/setup.hpp"
#include "support/bert_fixture.hpp"
#include "support/device.hpp"
#include "support/model_fixture.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

// One step's micro-batches as leaves.
class RecordedLeaves final : public LeafSource {
 public:
  explicit RecordedLeaves(const nlohmann::json& micro) {
    for (const auto& batch : micro) batches_.emplace_back(batch);
  }
  std::int64_t counted(std::int64_t leaf) override { return batches_[static_cast<std::size_t>(leaf)].counted; }
  void fill(std::int64_t leaf, CausalLm::Activations& activations) override { batches_[static_cast<std::size_t>(leaf)].fill(activations); }
  std::int64_t size() const { return static_cast<std::int64_t>(batches_.size()); }
  const RecordedBatch& first() const { return batches_[0]; }

 private:
  std::vector<RecordedBatch> batches_;
};

struct Case {
  const char* folder;
  DType compute;
  double bound;
};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.folder << "/" << name_of(c.compute);
}

class GoldenRun : public ::testing::TestWithParam<Case> {};

TEST_P(GoldenRun, LossesNormsAndParametersAgree) {
  const std::filesystem::path folder = data_file("models") / GetParam().folder;
  const nlohmann::json run = read_json(folder / "train.json");
  const auto comm = make_self_communicator();
  const CausalLm model(read_model_config(folder));
  const RecordedLeaves sample(run.at("batches")[0]);
  TrainShape shape;
  shape.device = test_device();
  shape.pass = {sample.first().B, sample.first().S};
  shape.compute = GetParam().compute;
  shape.reduction.most_leaves = sample.size();
  shape.step.clip = run.at("clip");
  OptimizerConfig& o = shape.step.optimizer;
  o.lr = run.at("lr"), o.beta1 = run.at("betas")[0], o.beta2 = run.at("betas")[1], o.eps = run.at("eps"),
  o.weight_decay = run.at("weight_decay"), o.decay = run.at("decay");
  const TrainPlan plan = plan_training(*comm, model, shape, 2);
  ThreadPool pool(2);
  Arena arena = test_arena(plan.bytes, plan.host_bytes);
  const Mesh mesh(*comm, strategy_of(shape.strategy));
  TrainSetup setup(arena, mesh, model, shape);
  Stream stream = test_stream(pool, arena, plan.workspace_bytes);
  ASSERT_EQ(arena.used(), plan.bytes);
  model.prepare(setup.activations());
  load_weights(stream, SafetensorsReader(folder), model.config(), model.parameters(), setup.state().weights());
  ScheduleConfig schedule_config;
  schedule_config.kind = run.at("schedule"), schedule_config.warmup_steps = run.at("warmup_steps");
  const Schedule schedule(schedule_config, o.lr, run.at("steps"));

  StepParts parts = setup.parts(stream);
  const double bound = GetParam().bound;
  for (std::int64_t t = 1; t <= run.at("steps").get<std::int64_t>(); ++t) {
    const auto& expected = run.at("log")[static_cast<std::size_t>(t - 1)];
    RecordedLeaves leaves(run.at("batches")[static_cast<std::size_t>(t - 1)]);
    const double lr = schedule.lr(t);
    EXPECT_NEAR(lr, expected.at("lr").get<double>(), 1e-15);
    const StepResult result = setup.step().run(parts, leaves, leaves.size(), lr, t);
    const double loss = expected.at("loss"), norm = expected.at("grad_norm");
    EXPECT_LE(std::abs(result.loss - loss) / loss, bound) << "step " << t;
    EXPECT_LE(std::abs(result.grad_norm - norm) / norm, bound * 10) << "step " << t;
  }

  const SafetensorsReader after(folder / "after.safetensors");
  for (const Parameter& p : model.parameters().parameters())
    EXPECT_LE(
        relative_error(values_of(setup.state().weights().weight.parameter(model.parameters().find(p.name))), read_tensor(after, p.name)),
        bound * 10)
        << p.name;
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenRun,
                         ::testing::Values(Case{"qwen3-tied", DType::f64, 1e-10}, Case{"qwen3-tied", DType::f32, 1e-5},
                                           Case{"qwen3-untied-bias", DType::f64, 1e-10}, Case{"qwen3-untied-bias", DType::f32, 1e-5},
                                           Case{"qwen3-long", DType::f64, 1e-10}, Case{"qwen3-long", DType::f32, 1e-5},
                                           Case{"llama3-scaled", DType::f64, 1e-10}, Case{"llama3-scaled", DType::f32, 1e-5}));

// BERT: the recorded run takes means over micro-batches.
class RecordedSpans final : public LeafSource {
 public:
  explicit RecordedSpans(const nlohmann::json& micro) {
    for (const auto& batch : micro) batches_.emplace_back(batch);
  }
  std::int64_t counted(std::int64_t leaf) override { return batches_[static_cast<std::size_t>(leaf)].counted(); }
  void fill(std::int64_t leaf, Activations& activations) override { batches_[static_cast<std::size_t>(leaf)].fill(activations); }
  std::int64_t size() const { return static_cast<std::int64_t>(batches_.size()); }
  const SpanBatch& first() const { return batches_[0]; }

 private:
  std::vector<SpanBatch> batches_;
};

class GoldenSpans : public ::testing::TestWithParam<std::pair<DType, double>> {};

TEST_P(GoldenSpans, LossesNormsAndParametersAgree) {
  const auto [compute, bound] = GetParam();
  const std::filesystem::path folder = data_file("models") / "bert-qa";
  const nlohmann::json run = read_json(folder / "train.json");
  const auto comm = make_self_communicator();
  const auto model = make_model(folder);
  const RecordedSpans sample(run.at("batches")[0]);
  TrainShape shape;
  shape.device = test_device();
  shape.pass = {sample.first().B, sample.first().S};
  shape.compute = compute;
  shape.reduction.most_leaves = sample.size();
  shape.step.clip = run.at("clip"), shape.step.microbatch_mean = true;
  OptimizerConfig& o = shape.step.optimizer;
  o.lr = run.at("lr"), o.beta1 = run.at("betas")[0], o.beta2 = run.at("betas")[1], o.eps = run.at("eps"),
  o.weight_decay = run.at("weight_decay"), o.decay = run.at("decay");
  const TrainPlan plan = plan_training(*comm, *model, shape, 2);
  ThreadPool pool(2);
  Arena arena = test_arena(plan.bytes, plan.host_bytes);
  const Mesh mesh(*comm, strategy_of(shape.strategy));
  TrainSetup setup(arena, mesh, *model, shape);
  Stream stream = test_stream(pool, arena, plan.workspace_bytes);
  ASSERT_EQ(arena.used(), plan.bytes);
  model->prepare(setup.activations());
  load_weights(stream, SafetensorsReader(folder), model->weight_rules(), model->parameters(), setup.state().weights(), 1);

  StepParts parts = setup.parts(stream);
  for (std::int64_t t = 1; t <= run.at("steps").get<std::int64_t>(); ++t) {
    const auto& expected = run.at("log")[static_cast<std::size_t>(t - 1)];
    RecordedSpans leaves(run.at("batches")[static_cast<std::size_t>(t - 1)]);
    const StepResult result = setup.step().run(parts, leaves, leaves.size(), expected.at("lr"), t);
    const double loss = expected.at("loss"), norm = expected.at("grad_norm");
    EXPECT_LE(std::abs(result.loss - loss) / loss, bound) << "step " << t;
    EXPECT_LE(std::abs(result.grad_norm - norm) / norm, bound * 10) << "step " << t;
  }

  const SafetensorsReader after(folder / "after.safetensors"), grads(folder / "grads.safetensors");
  for (const Parameter& p : model->parameters().parameters()) {
    // Where softmax sees no difference the exact gradient is zero, and Adam turns rounding noise into full steps.
    double squares = 0;
    for (const double g : read_tensor(grads, p.name)) squares += g * g;
    if (squares < 1e-24) continue;
    EXPECT_LE(
        relative_error(values_of(setup.state().weights().weight.parameter(model->parameters().find(p.name))), read_tensor(after, p.name)),
        bound * 10)
        << p.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Bert, GoldenSpans, ::testing::Values(std::pair{DType::f64, 1e-10}, std::pair{DType::f32, 1e-5}));

}  // namespace
}  // namespace strata::test
