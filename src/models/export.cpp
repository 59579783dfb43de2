// A Hugging Face folder from a model: config.json, model.safetensors, tokenizer files.
#include <nlohmann/json.hpp>

#include <algorithm>

#include "strata/io/file.hpp"
#include "strata/models/weights.hpp"

namespace strata {
namespace {

namespace fs = std::filesystem;

const char* torch_name(DType type) { return type == DType::bf16 ? "bfloat16" : "float32"; }

std::string config_text(const CausalConfig& config, DType type) {
  auto json = nlohmann::ordered_json::parse(config.json);
  // Both spellings are in use: torch_dtype before transformers 5, dtype since.
  json.erase("torch_dtype");
  json["dtype"] = torch_name(type);
  if (!json.contains("architectures"))
    json["architectures"] = {config.family == "qwen3" ? "Qwen3ForCausalLM" : config.family == "llama" ? "LlamaForCausalLM" : "MistralForCausalLM"};
  return json.dump(2) + "\n";
}

void copy_tokenizer(const fs::path& from, const fs::path& folder) {
  static const char* const names[] = {"tokenizer.json", "tokenizer_config.json", "vocab.json", "merges.txt", "tokenizer.model", "special_tokens_map.json", "added_tokens.json", "generation_config.json", "chat_template.jinja"};
  if (fs::is_regular_file(from)) {
    const bool model = from.extension() == ".model";
    fs::copy_file(from, folder / (model ? "tokenizer.model" : from.filename().string()), fs::copy_options::overwrite_existing);
    return;
  }
  for (const char* name : names)
    if (fs::exists(from / name)) fs::copy_file(from / name, folder / name, fs::copy_options::overwrite_existing);
}

}  // namespace

void export_weights(const fs::path& folder, const CausalConfig& config, const ParameterSet& set, const WeightSource& source, DType type, const fs::path& tokenizer) {
  if (type != DType::f32 && type != DType::bf16) throw DeckError(text("convert.dtype = ", name_of(type), ": a Hugging Face folder is written in fp32 or bf16"));
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw DataError(text("cannot make the folder ", folder.string(), ": ", error.message()));
  std::vector<SafetensorsItem> items;
  for (const Parameter& p : set.parameters()) {
    SafetensorsItem item{p.name, type, {}};
    for (int d = 0; d < p.shape.rank(); ++d) item.shape.push_back(p.shape[d]);
    items.push_back(std::move(item));
  }
  SafetensorsWriter writer(folder / "model.safetensors", items);
  constexpr std::int64_t piece = std::int64_t{1} << 20;
  std::vector<float> values;
  std::vector<BFloat16> rounded;
  for (std::size_t p = 0; p < set.parameters().size(); ++p)
    for (std::int64_t first = 0, n = set.parameters()[p].elements(); first < n; first += piece) {
      values.resize(static_cast<std::size_t>(std::min(piece, n - first)));
      source(static_cast<int>(p), first, values);
      rounded.assign(values.size(), BFloat16());
      std::transform(values.begin(), values.end(), rounded.begin(), [](float v) { return BFloat16(v); });
      const void* data = type == DType::f32 ? static_cast<const void*>(values.data()) : static_cast<const void*>(rounded.data());
      writer.fill(set.parameters()[p].name, first, static_cast<std::int64_t>(values.size()), data);
    }
  writer.commit();
  write_text_atomically(folder / "config.json", config_text(config, type));
  if (!tokenizer.empty()) copy_tokenizer(tokenizer, folder);
}

}  // namespace strata
