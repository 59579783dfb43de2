// Greedy continuations against Hugging Face's, through prefill and the key/value cache.
#include <gtest/gtest.h>

#include "strata/evaluate/generator.hpp"
#include "support/device.hpp"
#include "support/model_fixture.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

struct Case {
  const char* folder;
  DType compute;
  std::int64_t batch;
};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << c.folder << "/" << name_of(c.compute) << "/batch " << c.batch;
}

class Greedy : public ::testing::TestWithParam<Case> {};

TEST_P(Greedy, ContinuationsAgree) {
  const std::filesystem::path folder = data_file("models") / GetParam().folder;
  const nlohmann::json recorded = read_json(folder / "greedy.json");
  CausalConfig config = read_model_config(folder);
  config.eos.clear();  // the references go on beyond it
  const CausalLm model(config);
  GenerateConfig settings;
  settings.temperature = 0;
  settings.batch = GetParam().batch;
  std::vector<std::vector<TokenId>> prompts;
  std::size_t longest = 0;
  for (const auto& r : recorded) {
    prompts.push_back(r.at("prompt").get<std::vector<TokenId>>());
    longest = std::max(longest, prompts.back().size());
    settings.max_new_tokens = static_cast<std::int64_t>(r.at("continuation").size());
  }
  ComputeDevice device(test_device(), 2, 0, 1);
  Generator generator(device, model, GetParam().compute, settings, static_cast<std::int64_t>(longest));
  load_weights(generator.stream(), SafetensorsReader(folder), config, model.parameters(), generator.weights());

  const auto results = generator.run(prompts, nullptr, 1);

  for (std::size_t i = 0; i < results.size(); ++i)
    EXPECT_EQ(results[i].ids, recorded[i].at("continuation").get<std::vector<TokenId>>()) << "prompt " << i;
}

INSTANTIATE_TEST_SUITE_P(Models, Greedy,
                         ::testing::Values(Case{"qwen3-tied", DType::f64, 1}, Case{"qwen3-tied", DType::f32, 3},
                                           Case{"llama3-scaled", DType::f32, 1}, Case{"llama3-scaled", DType::f64, 8},
                                           Case{"stories260K", DType::f32, 2}, Case{"stories260K", DType::f64, 1}));

}  // namespace
}  // namespace strata::test
