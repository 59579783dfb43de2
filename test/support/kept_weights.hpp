#pragma once
// The parameters of a model, without the rest of it.
#include <bit>
#include <cstdint>

#include "support/model_fixture.hpp"
#include "support/support.hpp"

namespace strata::test {

/// A model's parameters and one store for them.
struct Kept {
  explicit Kept(const CausalConfig& config, DType compute = DType::f32, int threads = 2, bool with_master = true)
      : model(config),
        pool(threads),
        stream(Stream::cpu(pool)),
        arena(planned(model, compute, with_master)),
        store(WeightStore::take(arena, compute, set(), with_master)) {}
  const ParameterSet& set() const { return model.parameters(); }
  std::vector<float> values(int p) const {
    std::vector<float> out(static_cast<std::size_t>(set()[p].elements()));
    store.load(p, 0, out);
    return out;
  }
  std::vector<float> values(const std::string& name) const { return values(set().find(name)); }
  std::vector<std::uint32_t> bits() const {
    std::vector<std::uint32_t> all;
    for (std::size_t p = 0; p < set().parameters().size(); ++p)
      for (float v : values(static_cast<int>(p))) all.push_back(std::bit_cast<std::uint32_t>(v));
    return all;
  }
  static std::int64_t planned(const CausalLm& model, DType compute, bool with_master) {
    Arena plan;
    WeightStore::take(plan, compute, model.parameters(), with_master);
    return plan.used();
  }
  CausalLm model;
  ThreadPool pool;
  Stream stream;
  Arena arena;
  WeightStore store;
};

inline CausalConfig small() {
  return read_model_config(data_file("models") / "qwen3-long");
}
/// Its embedding has 2^20 elements, which are drawn in several pieces.
inline CausalConfig wide() {
  nlohmann::json json = read_json(data_file("models") / "qwen3-long" / "config.json");
  json["vocab_size"] = 32768;
  return parse_model_config(json.dump(), "wide");
}

}  // namespace strata::test
