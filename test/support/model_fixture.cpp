#include "support/model_fixture.hpp"

#include <fstream>

#include "strata/base/half.hpp"
#include "strata/tensor/values.hpp"
#include "support/device.hpp"

namespace strata::test {

Doubles values_of(const ConstView& anywhere) {
  const OnHost here(anywhere);
  const ConstView& view = here.view();
  Doubles values(static_cast<std::size_t>(view.elements()));
  for (std::size_t i = 0; i < values.size(); ++i) {
    switch (view.type()) {
      case DType::f64:
        values[i] = view.as<double>()[i];
        break;
      case DType::f32:
        values[i] = static_cast<double>(view.as<float>()[i]);
        break;
      case DType::f16:
        values[i] = static_cast<double>(static_cast<float>(view.as<Half>()[i]));
        break;
      default:
        values[i] = static_cast<double>(static_cast<float>(view.as<BFloat16>()[i]));
        break;
    }
  }
  return values;
}

Doubles read_tensor(const SafetensorsReader& file, const std::string& name) {
  const SafetensorsEntry& entry = file.tensors().at(name);
  Doubles values(static_cast<std::size_t>(entry.elements()));
  if (entry.type == DType::f64) {
    file.read(entry, 0, entry.elements(), values.data());
    return values;
  }
  std::vector<float> narrow(values.size());
  if (entry.type != DType::f32) throw std::runtime_error("a reference tensor is neither f32 nor f64");
  file.read(entry, 0, entry.elements(), narrow.data());
  return Doubles(narrow.begin(), narrow.end());
}

nlohmann::json read_json(const std::filesystem::path& path) {
  std::ifstream in(path);
  return nlohmann::json::parse(in);
}

RecordedBatch::RecordedBatch(const nlohmann::json& json) {
  const auto ids = json.at("input_ids").get<std::vector<std::vector<std::int32_t>>>();
  const auto marks = json.at("labels").get<std::vector<std::vector<std::int32_t>>>();
  B = static_cast<std::int64_t>(ids.size()), S = static_cast<std::int64_t>(ids[0].size());
  for (std::size_t b = 0; b < ids.size(); ++b)
    for (std::size_t s = 0; s < ids[b].size(); ++s) {
      inputs.push_back(ids[b][s]);
      labels.push_back(s + 1 < ids[b].size() ? marks[b][s + 1] : -100);
      counted += labels.back() >= 0;
    }
}

void RecordedBatch::fill(CausalLm::Activations& activations) const {
  set_values(activations.inputs, inputs), set_values(activations.labels, labels);
}

ModelFixture::ModelFixture(const std::filesystem::path& folder, DType compute, PassShape pass, int threads, ActivationPolicy policy)
    : pool_(threads), stream_(test_stream(pool_)), model_(std::make_unique<CausalLm>(read_model_config(folder))) {
  Arena plan;
  take(plan, pass, compute, policy);
  arena_ = std::make_unique<Arena>(test_arena(plan.used(), plan.host_used()));
  take(*arena_, pass, compute, policy);
  model_->prepare(activations_);
  load_weights(stream_, SafetensorsReader(folder), model_->config(), model_->parameters(), store_);
}

void ModelFixture::take(Arena& arena, PassShape pass, DType compute, ActivationPolicy policy) {
  const DType wide = compute == DType::f64 ? DType::f64 : DType::f32;
  store_ = WeightStore::take(arena, compute, model_->parameters(), true);
  gradients_ = FlatBuffer::take(arena, "gradients", wide, Partition(model_->parameters()));
  activations_ = model_->take_activations(arena, pass, compute, CausalLm::PassKind::train, false, policy);
  logits_ = strata::take(arena, "logits", wide, Shape{pass.R(), model_->config().V});
}

}  // namespace strata::test
