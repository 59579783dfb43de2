#pragma once
// A causal model with weights from a Hugging Face folder, its buffers, and the recorded reference beside it.
#include <nlohmann/json.hpp>

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "strata/models/causal_lm.hpp"
#include "strata/models/weights.hpp"

namespace strata::test {

using Doubles = std::vector<double>;

/// All elements of a view, as double.
Doubles values_of(const ConstView& view);
/// A tensor of a safetensors file, as double.
Doubles read_tensor(const SafetensorsReader& file, const std::string& name);
nlohmann::json read_json(const std::filesystem::path& path);

/// Inputs and labels as the recorded batches have them (labels not shifted).
struct RecordedBatch {
  std::int64_t B = 0, S = 0;
  std::vector<std::int32_t> inputs, labels;  // labels shifted here: the next token, -100 at the end
  std::int64_t counted = 0;
  explicit RecordedBatch(const nlohmann::json& json);
  void fill(CausalLm::Activations& activations) const;
};

/// Owns everything a pass needs. The arena is planned by the same code that then takes from it.
class ModelFixture {
 public:
  ModelFixture(const std::filesystem::path& folder, DType compute, PassShape pass, int threads = 2, ActivationPolicy policy = {});
  CausalLm& model() { return *model_; }
  CausalLm::Activations& activations() { return activations_; }
  Context context() { return Context{stream_, store_.weight, &gradients_}; }
  const FlatBuffer& gradients() const { return gradients_; }
  const WeightStore& store() const { return store_; }
  Stream& stream() { return stream_; }
  View logits() const { return logits_; }

 private:
  void take(Arena& arena, PassShape pass, DType compute, ActivationPolicy policy);
  ThreadPool pool_;
  Stream stream_;
  std::unique_ptr<CausalLm> model_;
  std::unique_ptr<Arena> arena_;
  WeightStore store_;
  FlatBuffer gradients_;
  CausalLm::Activations activations_;
  View logits_;
};

}  // namespace strata::test
