// The factory: model_type -> family.
#include "strata/models/model.hpp"

#include "models/config_reader.hpp"
#include "strata/models/bert_qa.hpp"
#include "strata/models/causal_lm.hpp"

namespace strata {

std::string model_type_of(const std::filesystem::path& path) {
  const ConfigText config = read_config(path);
  const nlohmann::json object = parse_config(config.json, config.origin);
  return ConfigReader(object, config.origin).string("model_type", "");
}

std::unique_ptr<Model> parse_model(const std::string& json, const std::string& origin) {
  const nlohmann::json object = parse_config(json, origin);
  if (ConfigReader(object, origin).string("model_type", "") == "bert")
    return std::make_unique<BertForQuestionAnswering>(parse_bert_config(json, origin));
  return std::make_unique<CausalLm>(parse_model_config(json, origin));
}

std::unique_ptr<Model> make_model(const std::filesystem::path& path) {
  const ConfigText config = read_config(path);
  return parse_model(config.json, config.origin);
}

}  // namespace strata
