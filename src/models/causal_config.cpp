// config.json of Qwen3, Llama and Mistral (semantics S8).
#include "strata/models/causal_config.hpp"

#include <algorithm>

#include "models/config_reader.hpp"

namespace strata {
namespace {

using Json = nlohmann::json;

// Rotary settings: top-level rope_theta and rope_scaling (older files), or rope_parameters (transformers 5).
RopeConfig read_rope(const ConfigReader& config, std::int64_t head_size) {
  RopeConfig rope;
  rope.head_size = head_size;
  const char* table = config.has("rope_parameters") ? "rope_parameters" : config.has("rope_scaling") ? "rope_scaling" : nullptr;
  rope.theta = config.above_zero("rope_theta", 10000.0);
  if (!table) return rope;
  const ConfigReader settings = config.inside(table);
  for (const auto& [key, value] : config.at(table).items())
    if (value.is_object()) settings.unsupported(key.c_str(), "one set of rotary settings for all layers");
  rope.theta = settings.above_zero("rope_theta", rope.theta);
  const char* type_key = settings.has("rope_type") ? "rope_type" : "type";
  const std::string type = settings.string(type_key, "default");
  if (type == "default") return rope;
  if (type != "llama3") settings.unsupported(type_key, "default, llama3");
  rope.llama3 = true;
  rope.factor = settings.number("factor");
  rope.low_freq_factor = settings.number("low_freq_factor");
  rope.high_freq_factor = settings.number("high_freq_factor");
  if (!(rope.factor > 0)) settings.wrong("factor", "a number above 0");
  if (!(rope.high_freq_factor > rope.low_freq_factor)) settings.wrong("high_freq_factor", "a number above low_freq_factor");
  rope.original_positions = settings.positive("original_max_position_embeddings");
  return rope;
}

std::int64_t read_window(const ConfigReader& config, const std::string& family) {
  if (!config.has("sliding_window")) return 0;
  // Qwen has the key without using it unless use_sliding_window says so; Mistral uses it wherever it is given (semantics S12a).
  if (family != "mistral" && !config.flag("use_sliding_window", false)) return 0;
  return config.positive("sliding_window");
}

void refuse_unsupported(const ConfigReader& config) {
  if (config.string("hidden_act", "silu") != "silu") config.unsupported("hidden_act", "silu");
  if (config.number("attention_dropout", 0.0) != 0.0) config.unsupported("attention_dropout", "0");
  if (config.number("partial_rotary_factor", 1.0) != 1.0) config.unsupported("partial_rotary_factor", "1");
  if (config.has("quantization_config")) config.unsupported("quantization_config", "weights in f32, bf16 or f16");
  if (config.positive("pretraining_tp", 1) != 1) config.unsupported("pretraining_tp", "1");
  if (config.has("layer_types"))
    for (const Json& type : config.at("layer_types"))
      if (type != "full_attention" && !(type == "sliding_attention" && config.has("sliding_window")))
        config.unsupported("layer_types", "full_attention in every layer");
}

std::vector<std::int64_t> read_ids(const ConfigReader& config, const char* key) {
  std::vector<std::int64_t> ids;
  if (!config.has(key)) return ids;
  const Json& value = config.at(key);
  for (const Json& id : value.is_array() ? value : Json::array({value})) {
    if (!id.is_number_integer() || id.get<std::int64_t>() < 0) config.wrong(key, "a token id or a list of them");
    ids.push_back(id.get<std::int64_t>());
  }
  return ids;
}

AttentionConfig read_attention(const ConfigReader& config, const std::string& family, const std::string& origin) {
  AttentionConfig a;
  a.H = config.positive("hidden_size");
  a.nh = config.positive("num_attention_heads");
  a.nkv = config.positive("num_key_value_heads", a.nh);
  if (a.nh % a.nkv != 0)
    throw DataError(text(origin, ": num_attention_heads = ", a.nh, " is not a multiple of num_key_value_heads = ", a.nkv));
  if (!config.has("head_dim") && a.H % a.nh != 0)
    throw DataError(
        text(origin, ": hidden_size = ", a.H, " is not a multiple of num_attention_heads = ", a.nh, ", and head_dim is not given"));
  // Qwen3 gives its head size apart from hidden_size / heads: 128 unless the file says otherwise.
  a.hd = config.positive("head_dim", family == "qwen3" ? 128 : a.H / a.nh);
  if (a.hd % 2 != 0) throw DataError(text(origin, ": head_dim = ", a.hd, " is odd: rotary positions need pairs"));
  a.qkv_bias = a.o_bias = config.flag("attention_bias", false);
  a.head_norm = family == "qwen3";
  a.eps = config.above_zero("rms_norm_eps", 1e-6);
  return a;
}

// Sizes that no machine holds are taken for damage before anything is computed from them: products of sizes then fit 63 bits.
void check_size(const CausalConfig& c, const std::string& origin) {
  constexpr double most = 1e15;  // parameters
  constexpr std::int64_t most_layers = 10000;
  const auto limit = [&](const char* what, std::int64_t found, std::int64_t allowed) {
    if (found > allowed) throw DataError(text(origin, ": ", what, " = ", found, ": expected at most ", allowed, "; is the file damaged?"));
  };
  const AttentionConfig& a = c.block.attention;
  limit("num_hidden_layers", c.L, most_layers);
  limit("hidden_size", c.H, 1 << 24);
  limit("intermediate_size", c.block.F, 1 << 26);
  limit("num_attention_heads", a.nh, 1 << 16);
  limit("head_dim", a.hd, 1 << 16);
  const auto width = [](std::int64_t n) { return static_cast<double>(n); };
  const double block = width(c.H) * (2 * width(a.nh) * width(a.hd) + 2 * width(a.nkv) * width(a.hd) + 3 * width(c.block.F));
  const double parameters = width(c.L) * block + 2 * width(c.V) * width(c.H);
  if (parameters > most)
    throw DataError(text(origin, ": the sizes make a model of ", parameters, " parameters, more than ", most, "; is the file damaged?"));
}

}  // namespace

CausalConfig parse_model_config(const std::string& json, const std::string& origin) {
  const Json object = parse_config(json, origin);
  const ConfigReader config(object, origin);
  CausalConfig c;
  c.json = json;
  c.family = config.string("model_type", "");
  if (c.family.empty()) throw DataError(text(origin, ": model_type is missing: expected qwen3, llama or mistral"));
  if (c.family != "qwen3" && c.family != "llama" && c.family != "mistral") config.unsupported("model_type", "qwen3, llama, mistral");
  refuse_unsupported(config);
  c.block.attention = read_attention(config, c.family, origin);
  c.V = config.positive("vocab_size");
  c.H = c.block.attention.H;
  c.L = config.positive("num_hidden_layers");
  c.block.F = config.positive("intermediate_size");
  c.block.mlp_bias = config.flag("mlp_bias", false);
  c.positions = config.positive("max_position_embeddings");
  c.rope = read_rope(config, c.block.attention.hd);
  c.window = read_window(config, c.family);
  c.tied = config.flag("tie_word_embeddings", false);
  c.initializer_range = config.above_zero("initializer_range", 0.02);
  c.eos = read_ids(config, "eos_token_id");
  check_size(c, origin);
  return c;
}

CausalConfig read_model_config(const std::filesystem::path& path) {
  const ConfigText config = read_config(path);
  return parse_model_config(config.json, config.origin);
}

void CausalConfig::check_sequence(std::int64_t S) const {
  if (S > positions)
    throw DataError(
        text("a sequence of ", S, " tokens is longer than the model's max_position_embeddings = ", positions, "; lower data.sequence"));
  if (window > 0 && S > window)
    throw DataError(text("a sequence of ", S, " tokens is longer than the model's sliding_window = ", window,
                         ", which is not supported; lower data.sequence to ", window));
}

WeightRules CausalConfig::weight_rules() const {
  WeightRules rules;
  rules.family = family;
  rules.architecture = family == "qwen3" ? "Qwen3ForCausalLM" : family == "llama" ? "LlamaForCausalLM" : "MistralForCausalLM";
  rules.prefix = "model.";
  rules.ignored_endings = {".inv_freq"};  // of older files; rotary frequencies follow from the configuration
  rules.initializer_range = initializer_range;
  if (tied) rules.tied_head = "lm_head.weight", rules.tied_to = "model.embed_tokens.weight";
  return rules;
}

}  // namespace strata
