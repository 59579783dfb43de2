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

// bf16: a step's loss within 1.5 times what pure bf16 makes of the outputs, the norm within that of the whole gradient. fp16, which has
// three bits more: a quarter of that.
double part_of_bf16(DType type) {
  return type == DType::f16 ? 0.25 : 1;
}
struct CoarseBounds {
  double loss, norm;
  CoarseBounds(const std::filesystem::path& folder, DType type) {
    const nlohmann::json pure = read_json(folder / "spread.json").at("bf16_pure");
    double outputs = 0;
    for (const auto& output : pure.at("outputs").items()) outputs = std::max(outputs, output.value().get<double>());
    loss = 1.5 * outputs * part_of_bf16(type), norm = 1.5 * pure.at("gradient_all").get<double>() * part_of_bf16(type);
  }
};

// All parameters as one vector: ||ours - recorded|| / ||recorded||.
double parameters_apart(const FlatBuffer& ours, const ParameterSet& set, const SafetensorsReader& recorded) {
  double apart = 0, all = 0;
  for (const Parameter& p : set.parameters()) {
    const Doubles mine = values_of(ours.parameter(set.find(p.name))), theirs = read_tensor(recorded, p.name);
    for (std::size_t i = 0; i < mine.size(); ++i) apart += (mine[i] - theirs[i]) * (mine[i] - theirs[i]), all += theirs[i] * theirs[i];
  }
  return std::sqrt(apart / all);
}

// A weight in bf16 is the rounded master: half a unit in its last place, 2^-9, at most; and what the run adds to that.
constexpr double bf16_parameters = 1.0 / 256;

// The deck's default for fp16, 1 for other types.
LossScale loss_scale_for(DType type) {
  PrecisionConfig config;
  if (type == DType::f16) config.compute = "fp16";
  return LossScale(config);
}

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
  if (GetParam().compute == DType::f16 && !test_gpu()) GTEST_SKIP() << "fp16 is computed on GPUs";
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
  parts.loss_scale = loss_scale_for(shape.compute);
  const bool narrow = size_of(shape.compute) == 2;
  const CoarseBounds coarse(folder, shape.compute);
  for (std::int64_t t = 1; t <= run.at("steps").get<std::int64_t>(); ++t) {
    const auto& expected = run.at("log")[static_cast<std::size_t>(t - 1)];
    RecordedLeaves leaves(run.at("batches")[static_cast<std::size_t>(t - 1)]);
    const double lr = schedule.lr(t);
    EXPECT_NEAR(lr, expected.at("lr").get<double>(), 1e-15);
    const StepResult result = setup.step().run(parts, leaves, leaves.size(), lr, t);
    const double loss = expected.at("loss"), norm = expected.at("grad_norm");
    EXPECT_LE(std::abs(result.loss - loss) / loss, narrow ? coarse.loss : bound) << "step " << t;
    EXPECT_LE(std::abs(result.grad_norm - norm) / norm, narrow ? coarse.norm : bound * 10) << "step " << t;
  }

  const SafetensorsReader after(folder / "after.safetensors");
  if (narrow) {
    EXPECT_LE(parameters_apart(setup.state().weights().weight, model.parameters(), after), bf16_parameters * part_of_bf16(shape.compute));
    return;
  }
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
                                           Case{"llama3-scaled", DType::f64, 1e-10}, Case{"llama3-scaled", DType::f32, 1e-5},
                                           Case{"qwen3-tied", DType::bf16, 0}, Case{"qwen3-untied-bias", DType::bf16, 0},
                                           Case{"qwen3-long", DType::bf16, 0}, Case{"llama3-scaled", DType::bf16, 0},
                                           Case{"qwen3-tied", DType::f16, 0}, Case{"qwen3-untied-bias", DType::f16, 0},
                                           Case{"qwen3-long", DType::f16, 0}, Case{"llama3-scaled", DType::f16, 0}));

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
  if (compute == DType::f16 && !test_gpu()) GTEST_SKIP() << "fp16 is computed on GPUs";
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

  const bool narrow = size_of(compute) == 2;
  const CoarseBounds coarse(folder, compute);
  StepParts parts = setup.parts(stream);
  parts.loss_scale = loss_scale_for(compute);
  for (std::int64_t t = 1; t <= run.at("steps").get<std::int64_t>(); ++t) {
    const auto& expected = run.at("log")[static_cast<std::size_t>(t - 1)];
    RecordedSpans leaves(run.at("batches")[static_cast<std::size_t>(t - 1)]);
    const StepResult result = setup.step().run(parts, leaves, leaves.size(), expected.at("lr"), t);
    const double loss = expected.at("loss"), norm = expected.at("grad_norm");
    EXPECT_LE(std::abs(result.loss - loss) / loss, narrow ? coarse.loss : bound) << "step " << t;
    EXPECT_LE(std::abs(result.grad_norm - norm) / norm, narrow ? coarse.norm : bound * 10) << "step " << t;
  }

  const SafetensorsReader after(folder / "after.safetensors"), grads(folder / "grads.safetensors");
  if (narrow) {
    EXPECT_LE(parameters_apart(setup.state().weights().weight, model->parameters(), after), bf16_parameters * part_of_bf16(shape.compute));
    return;
  }
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

INSTANTIATE_TEST_SUITE_P(Bert, GoldenSpans,
                         ::testing::Values(std::pair{DType::f64, 1e-10}, std::pair{DType::f32, 1e-5}, std::pair{DType::bf16, 0.0},
                                           std::pair{DType::f16, 0.0}));

}  // namespace
}  // namespace strata::test
