// Micro-batches as graphs of a GPU: the same bits as op by op, whatever changes from one to the next.
#include "strata/train/pass_graphs.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "strata/train/setup.hpp"
#include "support/bert_fixture.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::filesystem::path folder_of(const std::string& name) {
  return data_file("models") / name;
}

/// Tokens, labels and where documents begin, drawn anew for each leaf of each step; as many labels count as come.
class DrawnLeaves final : public LeafSource {
 public:
  DrawnLeaves(const Model& model, PassShape pass) : vocabulary_(model.vocabulary()), pass_(pass), spans_(model.answers_questions()) {}
  void begin(std::int64_t step) { step_ = step; }
  std::int64_t counted(std::int64_t leaf) override {
    const auto label = labels(leaf);
    return std::count_if(label.begin(), label.end(), [&](std::int32_t l) { return l >= 0 && (!spans_ || l < pass_.S); });
  }
  void fill(std::int64_t leaf, Activations& a) override {
    set_values(a.inputs, drawn(leaf, 1, pass_.R(), static_cast<std::int32_t>(vocabulary_)));
    set_values(a.labels, labels(leaf));
    if (a.document_mask) set_values(a.first_key, first_keys(leaf));
    if (!spans_) return;
    set_values(a.encoder.types, drawn(leaf, 3, pass_.R(), 2));
    set_values(a.encoder.lengths, drawn(leaf, 4, pass_.B, static_cast<std::int32_t>(pass_.S) - 3, 4));
    std::vector<std::int32_t> samples(static_cast<std::size_t>(pass_.B));
    std::iota(samples.begin(), samples.end(), static_cast<std::int32_t>(leaf * pass_.B));
    if (a.encoder.samples.given()) set_values(a.encoder.samples, samples);
  }

 private:
  std::vector<std::int32_t> drawn(std::int64_t leaf, int what, std::int64_t count, std::int32_t below, std::int32_t from = 0) const {
    std::uint64_t state = static_cast<std::uint64_t>(step_ * 1000 + leaf * 10 + what) * 0x9E3779B97F4A7C15u + 1;
    std::vector<std::int32_t> values;
    for (std::int64_t i = 0; i < count; ++i) {
      state = state * 6364136223846793005u + 1442695040888963407u;
      values.push_back(from + static_cast<std::int32_t>((state >> 33) % static_cast<std::uint64_t>(below)));
    }
    return values;
  }
  std::vector<std::int32_t> labels(std::int64_t leaf) const {
    if (spans_) return drawn(leaf, 2, 2 * pass_.B, static_cast<std::int32_t>(pass_.S) + 2);
    auto label = drawn(leaf, 2, pass_.R(), static_cast<std::int32_t>(vocabulary_));
    for (std::size_t i = 0; i < label.size(); i += static_cast<std::size_t>(2 + (step_ + leaf) % 5)) label[i] = -100;
    return label;
  }
  std::vector<std::int32_t> first_keys(std::int64_t leaf) const {
    std::vector<std::int32_t> keys;
    for (const std::int32_t cut : drawn(leaf, 5, pass_.B, static_cast<std::int32_t>(pass_.S)))
      for (std::int32_t i = 0; i < pass_.S; ++i) keys.push_back(i < cut ? 0 : cut);
    return keys;
  }
  std::int64_t vocabulary_;
  PassShape pass_;
  bool spans_;
  std::int64_t step_ = 0;
};

struct Trained {
  std::vector<double> numbers;  // losses, norms, parameters, losses between the steps
  std::int64_t launched = 0;    // passes that were graphs
  bool operator==(const Trained& other) const { return numbers == other.numbers; }
};

/// What to train, and by how many leaves in each step.
struct Plan {
  const Model& model;
  std::filesystem::path weights;
  TrainShape shape;
  std::vector<std::int64_t> leaves{5, 3, 4, 5};
};

Trained train(const Plan& what, bool graphs, bool required = false) {
  const Model& model = what.model;
  TrainShape shape = what.shape;
  shape.device = test_device();
  shape.graphs = graphs, shape.graphs_required = required;
  shape.reduction.most_leaves = *std::max_element(what.leaves.begin(), what.leaves.end());
  shape.step.optimizer.lr = 1e-3;
  const auto comm = make_self_communicator();
  const TrainPlan plan = plan_training(*comm, model, shape, 2);
  ThreadPool pool(2);
  Arena arena = test_arena(plan.bytes, plan.host_bytes);
  const Mesh mesh(*comm, strategy_of(shape.strategy));
  TrainSetup setup(arena, mesh, model, shape);
  Stream stream = test_stream(pool, arena, plan.workspace_bytes);
  EXPECT_EQ(arena.used(), plan.bytes);
  model.prepare(setup.activations());
  load_weights(stream, SafetensorsReader(what.weights), model.weight_rules(), model.parameters(), setup.state().weights(), 1);

  PrecisionConfig precision;
  precision.compute = shape.compute == DType::f16 ? "fp16" : "fp32", precision.initial_scale = 1024, precision.scale_window = 2;
  LossScale scale(precision);
  DrawnLeaves leaves(model, shape.pass);
  Trained trained;
  StepParts parts = setup.parts(stream);
  for (std::size_t i = 0; i < what.leaves.size(); ++i) {
    const auto t = static_cast<std::int64_t>(i) + 1;
    leaves.begin(t);
    parts.loss_scale = scale;
    const StepResult result = setup.step().run(parts, leaves, what.leaves[i], 1e-3, t);
    trained.numbers.push_back(result.loss), trained.numbers.push_back(result.grad_norm);
    if (scale.adapts()) scale.update_made();
    // Validation between steps uses the same memory.
    setup.traffic().begin_evaluation_pass(stream);
    Context context{stream, setup.weights(), nullptr, &setup.traffic()};
    leaves.fill(100, setup.activations());
    model.forward(context, setup.activations());
    trained.numbers.push_back(fold_rows(setup.activations().row_loss));
  }
  for (const Parameter& p : model.parameters().parameters()) {
    const Doubles values = values_of(setup.state().weights().weight.parameter(model.parameters().find(p.name)));
    trained.numbers.insert(trained.numbers.end(), values.begin(), values.end());
  }
  if (parts.graphs) trained.launched = parts.graphs->launched();
  return trained;
}

class PassGraphsTest : public ::testing::TestWithParam<DType> {
 protected:
  void SetUp() override {
    if (!test_gpu()) GTEST_SKIP() << "graphs are a GPU's";
  }
};

std::string type_name(const ::testing::TestParamInfo<DType>& info) {
  return name_of(info.param);
}

// Documents begin anywhere, another number of labels counts in each step, the last leaves of an epoch are fewer.
TEST_P(PassGraphsTest, CausalModelsTrainToTheSameBits) {
  const CausalLm model(read_model_config(folder_of("qwen3-untied-bias")));
  Plan plan{model, folder_of("qwen3-untied-bias"), {}};
  plan.shape.pass = {2, 24}, plan.shape.compute = GetParam(), plan.shape.document_mask = true;
  const Trained expected = train(plan, false), found = train(plan, true);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(expected.launched, 0);
  EXPECT_EQ(found.launched, 17 - 4) << "the first of each kind: leaf 0, leaves 1, 2 and 4, and 3, which are added up differently";
}

INSTANTIATE_TEST_SUITE_P(Types, PassGraphsTest, ::testing::Values(DType::f32, DType::bf16, DType::f16), type_name);

TEST(PassGraphsDropout, EncodersDrawAnewInEachStep) {
  if (!test_gpu()) GTEST_SKIP() << "graphs are a GPU's";
  BertConfig config = read_bert_config(folder_of("bert-qa"));
  config.layer.hidden_dropout = 0.1, config.layer.attention_dropout = 0.2;
  const BertForQuestionAnswering model(config);
  Plan plan{model, folder_of("bert-qa"), {}};
  plan.shape.pass = {3, 16}, plan.shape.seed = 5;
  for (const DType type : {DType::f32, DType::bf16}) {
    plan.shape.compute = type;
    plan.shape.step.microbatch_mean = type == DType::f32;
    plan.shape.activations.recompute = type == DType::f32 ? Recompute::full : Recompute::none;
    const Trained expected = train(plan, false), found = train(plan, true);
    EXPECT_EQ(found, expected) << name_of(type);
    EXPECT_EQ(found.launched, 17 - 4) << name_of(type);
  }
}

TEST(PassGraphsOneLeaf, EveryStepFromTheSecondOnIsOneGraph) {
  if (!test_gpu()) GTEST_SKIP() << "graphs are a GPU's";
  const CausalLm model(read_model_config(folder_of("qwen3-tied")));
  Plan plan{model, folder_of("qwen3-tied"), {}};
  plan.shape.pass = {2, 16}, plan.leaves.assign(5, 1);
  for (const char* strategy : {"ddp", "fsdp"}) {
    plan.shape.strategy = strategy;
    const Trained expected = train(plan, false), found = train(plan, true, true);
    EXPECT_EQ(found, expected) << strategy;
    EXPECT_EQ(found.launched, 4) << strategy;
  }
}

/// A model that waits for the GPU in the midst of a pass, which no capture can have.
class Waiting final : public Model {
 public:
  explicit Waiting(const Model& model) : model_(model) {}
  const ParameterSet& parameters() const override { return model_.parameters(); }
  const std::string& family() const override { return model_.family(); }
  std::string summary() const override { return model_.summary(); }
  const std::string& json() const override { return model_.json(); }
  std::int64_t vocabulary() const override { return model_.vocabulary(); }
  WholeRows whole_rows() const override { return model_.whole_rows(); }
  AttentionSizes attention() const override { return model_.attention(); }
  void check_sequence(std::int64_t S) const override { model_.check_sequence(S); }
  WeightRules weight_rules() const override { return model_.weight_rules(); }
  Activations take_activations(Arena& arena, PassShape pass, DType type, PassKind kind, bool document_mask,
                               ActivationPolicy policy) const override {
    return model_.take_activations(arena, pass, type, kind, document_mask, policy);
  }
  void prepare(Activations& activations) const override { model_.prepare(activations); }
  void forward(Context& context, Activations& activations, const ResultObserver& look) const override {
    model_.forward(context, activations, look);
  }
  void forward_backward(Context& context, Activations& activations, const Factor& scale) const override {
    model_.forward_backward(context, activations, scale);
    context.stream.wait();
  }

 private:
  const Model& model_;
};

TEST(PassGraphsSpoiled, APassThatCannotBeCapturedRunsAsEverOrIsNamed) {
  if (!test_gpu()) GTEST_SKIP() << "graphs are a GPU's";
  const CausalLm model(read_model_config(folder_of("qwen3-tied")));
  const Waiting waiting(model);
  Plan plan{waiting, folder_of("qwen3-tied"), {}};
  plan.shape.pass = {2, 16};
  const Trained expected = train(plan, false), found = train(plan, true);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(found.launched, 0);

  std::string message;
  try {
    train(plan, true, true);
  } catch (const InternalError& e) {
    message = e.what();
  }
  EXPECT_THAT(message, AllOf(HasSubstr("device.graphs = on: a micro-batch cannot be captured, at the op "), HasSubstr("embedding_backward"),
                             HasSubstr("waiting for the GPU: cudaErrorStreamCaptureUnsupported"), HasSubstr("device.graphs = off")));
}

}  // namespace
}  // namespace strata::test
