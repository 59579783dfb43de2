// Logits, loss and every gradient against the recorded Hugging Face results, in fp64, fp32 and bf16; bits against the number of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "strata/tensor/fold.hpp"
#include "support/adding_hooks.hpp"
#include "support/model_fixture.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

struct Case {
  const char* folder;
  DType compute;
};

std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.folder << "/" << name_of(c.compute);
}

class Golden : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    folder = data_file("models") / GetParam().folder;
    const nlohmann::json spread = read_json(folder / "spread.json").at("bf16_pure");
    const bool bf16 = GetParam().compute == DType::bf16, f64 = GetParam().compute == DType::f64;
    output_bound = f64 ? 1e-10 : bf16 ? 1.5 * spread.at("outputs").at("logits").get<double>() : 1e-5;
    // A loss is one number: its own deviation can be small by chance, so bf16 is held to the logits' spread.
    loss_bound = f64 ? 1e-10 : bf16 ? output_bound : 1e-5;
    gradient_bound = f64 ? 1e-10 : bf16 ? 1.5 * spread.at("gradient_max").get<double>() : 1e-4;
  }
  std::filesystem::path folder;
  double output_bound = 0, loss_bound = 0, gradient_bound = 0;
};

TEST_P(Golden, LogitsLossAndGradientsAgree) {
  const RecordedBatch batch(read_json(folder / "batch.json"));
  ModelFixture fixture(folder, GetParam().compute, {batch.B, batch.S});
  batch.fill(fixture.activations());
  Context context = fixture.context();
  const SafetensorsReader forward(folder / "forward.safetensors"), grads(folder / "grads.safetensors");

  fixture.model().forward_logits(context, fixture.activations(), fixture.logits());
  EXPECT_LE(relative_error(values_of(fixture.logits()), read_tensor(forward, "logits")), output_bound);

  fixture.model().forward_backward(context, fixture.activations(), 1.0 / static_cast<double>(batch.counted));
  const Doubles rows = values_of(fixture.activations().row_loss);
  const double loss = fold(rows) / static_cast<double>(batch.counted), expected = std::stod(forward.metadata().at("loss"));
  EXPECT_LE(std::abs(loss - expected) / expected, loss_bound);

  Doubles whole;
  for (const auto& [name, entry] : grads.tensors()) {
    const Doubles part = read_tensor(grads, name);
    whole.insert(whole.end(), part.begin(), part.end());
  }
  const double floor = 1e-3 * norm(whole);
  std::size_t compared = 0;
  for (const Parameter& p : fixture.model().parameters().parameters()) {
    const Doubles ours = values_of(fixture.gradients().parameter(fixture.model().parameters().find(p.name)));
    EXPECT_LE(distance(ours, read_tensor(grads, p.name), floor), gradient_bound) << p.name;
    ++compared;
  }
  EXPECT_EQ(compared, grads.tensors().size());
}

TEST_P(Golden, ForwardAloneGivesTheSameLossBits) {
  const RecordedBatch batch(read_json(folder / "batch.json"));
  ModelFixture fixture(folder, GetParam().compute, {batch.B, batch.S});
  batch.fill(fixture.activations());
  Context context = fixture.context();

  fixture.model().forward_backward(context, fixture.activations(), 1.0);
  const Doubles both = values_of(fixture.activations().row_loss);
  fixture.model().forward(context, fixture.activations());

  EXPECT_EQ(values_of(fixture.activations().row_loss), both);
}

TEST_P(Golden, GradientBitsDoNotDependOnThreads) {
  const RecordedBatch batch(read_json(folder / "batch.json"));
  std::vector<Doubles> results;
  for (int threads : {1, 2, 3, 5}) {
    ModelFixture fixture(folder, GetParam().compute, {batch.B, batch.S}, threads);
    batch.fill(fixture.activations());
    Context context = fixture.context();
    fixture.model().forward_backward(context, fixture.activations(), 1.0 / static_cast<double>(batch.counted));
    results.push_back(values_of(fixture.gradients().flat()));
  }

  for (std::size_t i = 1; i < results.size(); ++i)
    EXPECT_EQ(0, std::memcmp(results[0].data(), results[i].data(), results[0].size() * sizeof(double))) << "run " << i;
}

// As the reduction of several micro-batches asks for them.
TEST(GoldenAdded, GradientsOfLayersAreTheFinishedOnesThenAdded) {
  for (const Case& c : {Case{"qwen3-tied", DType::bf16}, Case{"qwen3-untied-bias", DType::f32}, Case{"llama3-scaled", DType::f64}}) {
    const std::filesystem::path folder = data_file("models") / c.folder;
    const RecordedBatch batch(read_json(folder / "batch.json"));
    ModelFixture fixture(folder, c.compute, {batch.B, batch.S});
    batch.fill(fixture.activations());
    SCOPED_TRACE(c.folder);
    expect_gradients_are_added(fixture);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Golden,
                         ::testing::Values(Case{"qwen3-tied", DType::f64}, Case{"qwen3-tied", DType::f32}, Case{"qwen3-tied", DType::bf16},
                                           Case{"qwen3-untied-bias", DType::f64}, Case{"qwen3-untied-bias", DType::f32},
                                           Case{"qwen3-untied-bias", DType::bf16}, Case{"qwen3-long", DType::f64},
                                           Case{"qwen3-long", DType::f32}, Case{"qwen3-long", DType::bf16},
                                           Case{"llama3-scaled", DType::f64}, Case{"llama3-scaled", DType::f32},
                                           Case{"llama3-scaled", DType::bf16}));

}  // namespace
}  // namespace strata::test
