// config.json of BERT.
#include "strata/models/bert_config.hpp"

#include "models/config_reader.hpp"

namespace strata {
namespace {

double read_dropout(const ConfigReader& config, const char* key) {
  const double p = config.number(key, 0.1);  // Hugging Face's default
  if (!(p >= 0 && p < 1)) config.wrong(key, "a number from 0 to below 1");
  return p;
}

Gelu read_activation(const ConfigReader& config) {
  const std::string name = config.string("hidden_act", "gelu");
  if (name == "gelu" || name == "gelu_python") return Gelu::erf;
  if (name == "gelu_new" || name == "gelu_pytorch_tanh" || name == "gelu_fast") return Gelu::tanh;
  config.unsupported("hidden_act", "gelu, gelu_python, gelu_new, gelu_pytorch_tanh, gelu_fast");
}

// -1: none.
std::int64_t read_pad(const ConfigReader& config, std::int64_t V) {
  if (!config.has("pad_token_id")) return -1;
  const nlohmann::json& value = config.at("pad_token_id");
  if (!value.is_number_integer() || value < 0 || value >= V) config.wrong("pad_token_id", text("a token of the vocabulary of ", V));
  return value.get<std::int64_t>();
}

void refuse_unsupported(const ConfigReader& config) {
  if (config.string("model_type", "bert") != "bert") config.unsupported("model_type", "bert");
  if (config.string("position_embedding_type", "absolute") != "absolute") config.unsupported("position_embedding_type", "absolute");
  if (config.flag("is_decoder", false)) config.unsupported("is_decoder", "false");
  if (config.flag("add_cross_attention", false)) config.unsupported("add_cross_attention", "false");
  if (config.has("quantization_config")) config.unsupported("quantization_config", "weights in f32, bf16 or f16");
}

// Sizes that no machine holds are taken for damage before anything is computed from them.
void check_size(const BertConfig& c, const std::string& origin) {
  const auto limit = [&](const char* what, std::int64_t found, std::int64_t allowed) {
    if (found > allowed) throw DataError(text(origin, ": ", what, " = ", found, ": expected at most ", allowed, "; is the file damaged?"));
  };
  limit("num_hidden_layers", c.L, 1000);
  limit("hidden_size", c.layer.H, 1 << 18);
  limit("intermediate_size", c.layer.F, 1 << 20);
  limit("num_attention_heads", c.layer.nh, 4095);
  limit("max_position_embeddings", c.tables.positions, 65535);
  limit("type_vocab_size", c.tables.types, 1 << 16);
  limit("vocab_size", c.tables.V, 1 << 26);
}

}  // namespace

BertConfig parse_bert_config(const std::string& json, const std::string& origin) {
  const nlohmann::json object = parse_config(json, origin);
  const ConfigReader config(object, origin);
  refuse_unsupported(config);
  BertConfig c;
  c.json = json;
  c.layer.H = config.positive("hidden_size");
  c.layer.nh = config.positive("num_attention_heads");
  if (c.layer.H % c.layer.nh != 0)
    throw DataError(text(origin, ": hidden_size = ", c.layer.H, " is not a multiple of num_attention_heads = ", c.layer.nh));
  c.layer.F = config.positive("intermediate_size");
  c.layer.activation = read_activation(config);
  c.layer.eps = config.above_zero("layer_norm_eps", 1e-12);
  c.layer.hidden_dropout = read_dropout(config, "hidden_dropout_prob");
  c.layer.attention_dropout = read_dropout(config, "attention_probs_dropout_prob");
  c.L = config.positive("num_hidden_layers");
  c.tables.V = config.positive("vocab_size");
  c.tables.positions = config.positive("max_position_embeddings");
  c.tables.types = config.positive("type_vocab_size", 2);
  c.tables.pad = read_pad(config, c.tables.V);
  c.initializer_range = config.above_zero("initializer_range", 0.02);
  check_size(c, origin);
  return c;
}

BertConfig read_bert_config(const std::filesystem::path& path) {
  const ConfigText config = read_config(path);
  return parse_bert_config(config.json, config.origin);
}

void BertConfig::check_sequence(std::int64_t S) const {
  if (S > tables.positions)
    throw DataError(text("a sequence of ", S, " tokens is longer than the model's max_position_embeddings = ", tables.positions,
                         "; lower data.sequence"));
}

WeightRules BertConfig::weight_rules() const {
  WeightRules rules;
  rules.family = family;
  rules.architecture = "BertForQuestionAnswering";
  rules.set_architecture = true;  // the file may be that of the pretrained model
  rules.prefix = "bert.";
  rules.old_endings = {{".LayerNorm.gamma", ".LayerNorm.weight"}, {".LayerNorm.beta", ".LayerNorm.bias"}};
  rules.ignored_beginnings = {"cls.", "pooler.", "classifier."};
  rules.ignored_endings = {"embeddings.position_ids"};
  rules.fresh_beginnings = {"qa_outputs."};
  rules.initializer_range = initializer_range;
  return rules;
}

}  // namespace strata
