#pragma once
// A BERT question-answering model with its buffers, and the recorded batches it is compared on.
#include <algorithm>
#include <numeric>

#include "strata/models/bert_qa.hpp"
#include "strata/tensor/values.hpp"
#include "support/device.hpp"
#include "support/model_fixture.hpp"

namespace strata::test {

/// A batch as the recorded references have it.
struct SpanBatch {
  std::int64_t B = 0, S = 0;
  std::vector<std::int32_t> inputs, types, lengths, labels;
  explicit SpanBatch(const nlohmann::json& json) {
    const auto flatten = [&](const char* key) {
      std::vector<std::int32_t> all;
      for (const auto& row : json.at(key))
        for (const auto& value : row) all.push_back(value.get<std::int32_t>());
      return all;
    };
    inputs = flatten("input_ids"), types = flatten("token_type_ids");
    B = static_cast<std::int64_t>(json.at("input_ids").size()), S = static_cast<std::int64_t>(inputs.size()) / B;
    for (const auto& row : json.at("attention_mask")) {
      lengths.push_back(0);
      for (const auto& mark : row) lengths.back() += mark.get<std::int32_t>();
    }
    for (std::size_t b = 0; b < lengths.size(); ++b) {
      labels.push_back(json.at("start_positions")[b].get<std::int32_t>());
      labels.push_back(json.at("end_positions")[b].get<std::int32_t>());
    }
  }
  std::int64_t counted() const {
    return std::count_if(labels.begin(), labels.end(), [&](std::int32_t l) { return l >= 0 && l < S; });
  }
  void fill(Activations& a) const {
    set_values(a.inputs, inputs), set_values(a.labels, labels);
    set_values(a.encoder.types, types), set_values(a.encoder.lengths, lengths);
    if (!a.encoder.samples.given()) return;
    std::vector<std::int32_t> numbers(static_cast<std::size_t>(B));
    std::iota(numbers.begin(), numbers.end(), 100);
    set_values(a.encoder.samples, numbers);
  }
};

/// Owns everything a pass needs.
class BertFixture {
 public:
  BertFixture(const BertConfig& config, DType compute, PassShape pass, int threads = 2, ActivationPolicy policy = {})
      : pool_(threads), stream_(test_stream(pool_)), model_(config) {
    Arena plan;
    take(plan, pass, compute, policy);
    arena_ = std::make_unique<Arena>(test_arena(plan.used(), plan.host_used()));
    take(*arena_, pass, compute, policy);
    model_.prepare(activations_);
    activations_.encoder.seed = 77, activations_.encoder.step = 5;
  }
  BertFixture& load(const std::filesystem::path& folder, std::uint64_t seed = 1) {
    load_weights(stream_, SafetensorsReader(folder), model_.weight_rules(), model_.parameters(), store_, seed);
    return *this;
  }
  const BertForQuestionAnswering& model() const { return model_; }
  const ParameterSet& set() const { return model_.parameters(); }
  Activations& activations() { return activations_; }
  Context context(UnitHooks* hooks = nullptr) { return Context{stream_, store_.weight, &gradients_, hooks}; }
  const FlatBuffer& gradients() const { return gradients_; }
  const WeightStore& store() const { return store_; }
  Stream& stream() { return stream_; }
  View parameter(const std::string& name) const { return store_.weight.parameter(set().find(name)); }
  View gradient(const std::string& name) const { return gradients_.parameter(set().find(name)); }
  double loss() const {
    double sum = 0;
    for (const double row : values_of(activations_.row_loss)) sum += row;
    return sum;
  }

 private:
  void take(Arena& arena, PassShape pass, DType compute, ActivationPolicy policy) {
    const DType wide = compute == DType::f64 ? DType::f64 : DType::f32;
    store_ = WeightStore::take(arena, compute, model_.parameters(), true);
    gradients_ = FlatBuffer::take(arena, "gradients", wide, Partition(model_.parameters()));
    activations_ = model_.take_activations(arena, pass, compute, PassKind::train, false, policy);
  }
  ThreadPool pool_;
  Stream stream_;
  BertForQuestionAnswering model_;
  std::unique_ptr<Arena> arena_;
  WeightStore store_;
  FlatBuffer gradients_;
  Activations activations_;
};

}  // namespace strata::test
