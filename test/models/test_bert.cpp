// BERT question answering against the recorded Hugging Face results in fp64, fp32 and bf16: logits, loss, every gradient, an AdamW run;
// bits against threads, recomputation and offload; dropout; units.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "strata/ops/adamw.hpp"
#include "strata/ops/elementwise.hpp"
#include "strata/tensor/fold.hpp"
#include "support/adding_hooks.hpp"
#include "support/bert_fixture.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

std::filesystem::path golden() {
  return data_file("models") / "bert-qa";
}

BertConfig with_dropout(double hidden, double attention) {
  BertConfig config = read_bert_config(golden());
  config.layer.hidden_dropout = hidden, config.layer.attention_dropout = attention;
  return config;
}

// Hugging Face's order: all starts, then all ends.
Doubles logits_of_end(const View& logits, std::int64_t end) {
  const Doubles all = values_of(logits);
  const auto S = static_cast<std::size_t>(logits.size(2));
  Doubles one;
  for (std::size_t row = static_cast<std::size_t>(end); row * S < all.size(); row += 2)
    one.insert(one.end(), all.begin() + static_cast<std::ptrdiff_t>(row * S), all.begin() + static_cast<std::ptrdiff_t>((row + 1) * S));
  return one;
}

class Bert : public ::testing::TestWithParam<DType> {
 protected:
  DType type() const { return GetParam(); }
  SpanBatch batch{read_json(golden() / "batch.json")};
  PassShape pass{batch.B, batch.S};
};

TEST_P(Bert, LogitsLossAndGradientsAgree) {
  const nlohmann::json spread = read_json(golden() / "spread.json").at("bf16_pure");
  const bool bf16 = type() == DType::bf16, f64 = type() == DType::f64;
  const auto bound = [&](double pure_bf16, double fp32) { return f64 ? 1e-10 : bf16 ? 1.5 * pure_bf16 : fp32; };
  BertFixture fixture(read_bert_config(golden()), type(), pass);
  fixture.load(golden());
  batch.fill(fixture.activations());
  Context context = fixture.context();
  const SafetensorsReader forward(golden() / "forward.safetensors"), grads(golden() / "grads.safetensors");
  const double start_spread = spread.at("outputs").at("start_logits");

  fixture.model().forward(context, fixture.activations());
  const View logits = fixture.activations().encoder.logits;
  EXPECT_LE(relative_error(logits_of_end(logits, 0), read_tensor(forward, "start_logits")), bound(start_spread, 1e-5));
  EXPECT_LE(relative_error(logits_of_end(logits, 1), read_tensor(forward, "end_logits")),
            bound(spread.at("outputs").at("end_logits").get<double>(), 1e-5));

  fixture.model().forward_backward(context, fixture.activations(), 1.0 / static_cast<double>(batch.counted()));
  const double loss = fold(values_of(fixture.activations().row_loss)) / static_cast<double>(batch.counted()),
               expected = std::stod(forward.metadata().at("loss"));
  // A loss is one number: its own deviation can be small by chance, so bf16 is held to the logits' spread.
  EXPECT_LE(std::abs(loss - expected) / expected, bound(start_spread, 1e-5));

  Doubles whole;
  for (const auto& [name, entry] : grads.tensors()) {
    const Doubles part = read_tensor(grads, name);
    whole.insert(whole.end(), part.begin(), part.end());
  }
  for (const Parameter& p : fixture.set().parameters())
    EXPECT_LE(distance(values_of(fixture.gradient(p.name)), read_tensor(grads, p.name), 1e-3 * norm(whole)),
              bound(spread.at("gradient_max").get<double>(), 1e-4))
        << p.name;
  EXPECT_EQ(fixture.set().parameters().size(), grads.tensors().size());
}

// The recorded run's loss is the mean over micro-batches.
TEST_P(Bert, ParametersAfterOptimizerStepsAgree) {
  if (type() == DType::bf16) GTEST_SKIP() << "the bf16 run is compared where the trainer is";
  const double bound = type() == DType::f64 ? 1e-10 : 1e-5;
  const nlohmann::json run = read_json(golden() / "train.json");
  const SpanBatch first(run.at("batches")[0][0]);
  BertFixture f(read_bert_config(golden()), type(), {first.B, first.S});
  f.load(golden());
  Context context = f.context();
  const std::int64_t n = f.gradients().flat().elements();
  Arena memory = test_arena(4 * n * 8);
  const View sum = take(memory, "sum", f.gradients().flat().type(), Shape{n}), m = take(memory, "m", sum.type(), Shape{n}),
             v = take(memory, "v", sum.type(), Shape{n});
  fill(f.stream(), m, 0), fill(f.stream(), v, 0);
  for (std::size_t step = 0; step < run.at("log").size(); ++step) {
    const auto& expected = run.at("log")[step];
    double loss = 0;
    fill(f.stream(), sum, 0);
    const auto& micro = run.at("batches")[step];
    for (const auto& json : micro) {
      const SpanBatch batch_of_leaf(json);
      batch_of_leaf.fill(f.activations());
      const double scale = 1.0 / static_cast<double>(batch_of_leaf.counted()) / static_cast<double>(micro.size());
      f.model().forward_backward(context, f.activations(), scale);
      loss += f.loss() * scale;
      add_into(f.stream(), sum, f.gradients().flat());
    }
    const double size = norm(values_of(sum)), clip = run.at("clip");
    EXPECT_LE(std::abs(loss - expected.at("loss").get<double>()) / loss, bound) << step;
    EXPECT_LE(std::abs(size - expected.at("grad_norm").get<double>()) / size, 10 * bound) << step;
    const AdamwStep update{expected.at("lr"),
                           run.at("betas")[0],
                           run.at("betas")[1],
                           run.at("eps"),
                           run.at("weight_decay"),
                           static_cast<std::int64_t>(step) + 1,
                           std::min(1.0, clip / (size + 1e-6))};
    adamw_update(f.stream(), f.store().weight.flat(), View(), sum, m, v, update);
  }

  const SafetensorsReader after(golden() / "after.safetensors"), grads(golden() / "grads.safetensors");
  int compared = 0;
  for (const Parameter& p : f.set().parameters()) {
    // Where softmax sees no difference the exact gradient is zero (the keys' biases, what shifts all logits alike): Adam turns rounding
    // noise into full steps there.
    if (norm(read_tensor(grads, p.name)) < 1e-12) continue;
    EXPECT_LE(relative_error(values_of(f.parameter(p.name)), read_tensor(after, p.name)), 10 * bound) << p.name;
    ++compared;
  }
  EXPECT_EQ(compared, 39 - 4);
}

TEST_P(Bert, BitsDoNotDependOnThreadsRecomputationOrOffload) {
  const BertConfig config = with_dropout(0.1, 0.2);
  const auto run = [&](int threads, ActivationPolicy policy) {
    BertFixture fixture(config, type(), pass, threads, policy);
    fixture.load(golden());
    batch.fill(fixture.activations());
    Context context = fixture.context();
    fixture.model().forward_backward(context, fixture.activations(), 0.1);
    Doubles all = values_of(fixture.gradients().flat());
    const Doubles rows = values_of(fixture.activations().row_loss);
    all.insert(all.end(), rows.begin(), rows.end());
    return all;
  };
  const auto same = [](const Doubles& a, const Doubles& b) { return std::memcmp(a.data(), b.data(), a.size() * sizeof(double)) == 0; };
  const Doubles truth = run(1, {});
  for (const int threads : {2, 3, 5}) EXPECT_TRUE(same(truth, run(threads, {}))) << threads << " threads";
  for (const Recompute recompute : {Recompute::none, Recompute::selective, Recompute::full})
    for (const bool offload : {false, true})
      EXPECT_TRUE(same(truth, run(2, {recompute, offload}))) << static_cast<int>(recompute) << offload;
}

TEST_P(Bert, ForwardAloneGivesTheSameLossBits) {
  BertFixture fixture(read_bert_config(golden()), type(), pass);
  fixture.load(golden());
  batch.fill(fixture.activations());
  Context context = fixture.context();
  fixture.model().forward_backward(context, fixture.activations(), 1.0);
  const Doubles both = values_of(fixture.activations().row_loss);
  std::vector<std::string> seen;
  fixture.model().forward(context, fixture.activations(), [&](const std::string& what, const View&) { seen.push_back(what); });
  EXPECT_EQ(values_of(fixture.activations().row_loss), both);
  EXPECT_EQ(seen.size(), 1u + 2 * 6);
  EXPECT_EQ(seen.back(), "layer 1: the output");
}

INSTANTIATE_TEST_SUITE_P(Types, Bert, ::testing::Values(DType::f64, DType::f32, DType::bf16),
                         [](const auto& with) { return std::string(name_of(with.param)); });

TEST(BertDropout, GradientsAreThoseOfTheDroppedLoss) {
  const SpanBatch batch(read_json(golden() / "batch.json"));
  BertFixture f(with_dropout(0.3, 0.2), DType::f64, {batch.B, batch.S});
  f.load(golden());
  batch.fill(f.activations());
  Context context = f.context();
  const auto loss = [&] {
    f.model().forward_backward(context, f.activations(), 1.0);
    return f.loss();
  };
  loss();
  const Doubles gradient = values_of(f.gradients().flat());
  // One element of each parameter, by central differences of the loss with the same masks.
  for (const char* name : {"bert.embeddings.LayerNorm.weight", "bert.encoder.layer.0.attention.self.value.weight",
                           "bert.encoder.layer.0.attention.output.dense.weight", "bert.encoder.layer.1.intermediate.dense.bias",
                           "bert.encoder.layer.1.output.LayerNorm.weight", "bert.encoder.layer.0.attention.self.query.weight"}) {
    loss();
    const View at = f.parameter(name);
    const auto set = [&](double value) { set_values(at.reshaped(Shape{at.elements()}).rows(7, 1), std::vector{value}); };
    const double expected = values_of(f.gradient(name))[7], h = 1e-4, before = values_of(at)[7];
    const auto moved = [&](double step) {
      set(before + step);
      const double value = loss();
      set(before);
      return value;
    };
    const double difference = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
    EXPECT_NEAR(expected, difference, 1e-8 * std::max(1.0, std::abs(difference))) << name;
  }
}

TEST(BertDropout, BelongsToSampleStepAndSeedAndLeavesEvaluationAlone) {
  const SpanBatch batch(read_json(golden() / "batch.json"));
  BertFixture f(with_dropout(0.3, 0.2), DType::f32, {batch.B, batch.S}), plain(with_dropout(0, 0), DType::f32, {batch.B, batch.S});
  f.load(golden()), plain.load(golden());
  batch.fill(f.activations()), batch.fill(plain.activations());
  Context context = f.context(), plain_context = plain.context();
  const auto rows = [&] {
    f.model().forward_backward(context, f.activations(), 1.0);
    return values_of(f.activations().row_loss);
  };
  const Doubles first = rows();
  EXPECT_EQ(rows(), first);
  f.activations().encoder.step = 6;
  EXPECT_NE(rows(), first);
  f.activations().encoder.step = 5, f.activations().encoder.seed = 78;
  EXPECT_NE(rows(), first);
  f.activations().encoder.seed = 77;
  // Only the sequence whose number changes.
  set_values(f.activations().encoder.samples.rows(2, 1), std::vector<std::int32_t>{9});
  const Doubles other = rows();
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_EQ(other[i] == first[i], i / 2 != 2 || first[i] == 0) << i;

  f.model().forward(context, f.activations()), plain.model().forward(plain_context, plain.activations());
  EXPECT_EQ(values_of(f.activations().row_loss), values_of(plain.activations().row_loss));
}

// As the reduction of several micro-batches asks for them.
TEST(BertAdded, GradientsOfLayersAreTheFinishedOnesThenAdded) {
  const SpanBatch batch(read_json(golden() / "batch.json"));
  for (const DType type : {DType::bf16, DType::f32})
    for (const double p : {0.0, 0.1}) {
      BertFixture f(with_dropout(p, p), type, {batch.B, batch.S});
      f.load(golden());
      batch.fill(f.activations());
      SCOPED_TRACE(text(name_of(type), " ", p));
      expect_gradients_are_added(f);
    }
}

// What the hooks are told, as a text.
class Recorder final : public UnitHooks {
 public:
  void use(int unit) override { told += text(" use", unit); }
  Write open_gradient(int unit) override {
    told += text(" open", unit);
    return Write::set;
  }
  void close_gradient(int unit) override { told += text(" close", unit); }
  std::string told;
};

TEST(BertUnits, AreUsedInOrderAndCloseOnceFromTheBack) {
  const SpanBatch batch(read_json(golden() / "batch.json"));
  BertFixture f(with_dropout(0.1, 0.1), DType::f32, {batch.B, batch.S});
  f.load(golden());
  batch.fill(f.activations());
  Recorder recorder;
  Context context = f.context(&recorder);
  f.model().forward_backward(context, f.activations(), 1.0);
  EXPECT_EQ(recorder.told, " use0 use1 use2 use3 open3 close3 use2 open2 close2 use1 open1 close1 use0 open0 close0");
}

TEST(BertPlan, MemoryShrinksAsThePolicySays) {
  const BertForQuestionAnswering model(read_bert_config(golden()));
  const auto bytes = [&](ActivationPolicy policy) {
    Arena arena;
    model.take_activations(arena, {4, 32}, DType::bf16, PassKind::train, false, policy);
    return arena.used();
  };
  EXPECT_LT(bytes({Recompute::selective, false}), bytes({}));
  EXPECT_LT(bytes({Recompute::full, false}), bytes({Recompute::selective, false}));
}

}  // namespace
}  // namespace strata::test
