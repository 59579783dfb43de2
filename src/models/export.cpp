// A Hugging Face folder from a model: config.json, model.safetensors, tokenizer files.
#include <nlohmann/json.hpp>

#include <algorithm>

#include "strata/io/file.hpp"
#include "strata/models/weights.hpp"

namespace strata {
namespace {

namespace fs = std::filesystem;

const char* torch_name(DType type) {
  return type == DType::bf16 ? "bfloat16" : "float32";
}

std::string config_text(const std::string& text, const WeightRules& rules, DType type) {
  auto json = nlohmann::ordered_json::parse(text);
  // Both spellings are in use: torch_dtype before transformers 5, dtype since.
  json.erase("torch_dtype");
  json["dtype"] = torch_name(type);
  if (rules.set_architecture || !json.contains("architectures")) json["architectures"] = {rules.architecture};
  return json.dump(2) + "\n";
}

void copy_over(const fs::path& from, const fs::path& to) {
  std::error_code error;
  if (!fs::exists(from) || fs::equivalent(from, to, error)) return;
  fs::copy_file(from, to, fs::copy_options::overwrite_existing, error);
  if (error) throw DataError(text("cannot copy ", from.string(), " to ", to.string(), ": ", error.message()));
}

// What transformers needs beside a sentencepiece model to know whose it is.
constexpr const char* sentencepiece_settings = R"({
  "tokenizer_class": "LlamaTokenizer",
  "bos_token": "<s>",
  "eos_token": "</s>",
  "unk_token": "<unk>",
  "add_bos_token": false,
  "add_eos_token": false,
  "legacy": false
}
)";

// A tokenizer is a folder, or one file of it whose companions lie beside it.
void copy_tokenizer(const fs::path& from, const fs::path& folder) {
  static const char* const names[] = {
      "tokenizer.json",          "tokenizer_config.json",  "vocab.json",          "merges.txt", "tokenizer.model", "added_tokens.json",
      "special_tokens_map.json", "generation_config.json", "chat_template.jinja", "vocab.txt"};
  if (!fs::exists(from)) throw DataError(text("the tokenizer ", from.string(), " does not exist"));
  if (from.extension() == ".model") {
    copy_over(from, folder / "tokenizer.model");
    const fs::path settings = from.parent_path() / "tokenizer_config.json";
    if (fs::exists(settings))
      copy_over(settings, folder / "tokenizer_config.json");
    else
      write_text_atomically(folder / "tokenizer_config.json", sentencepiece_settings);
    return;
  }
  const fs::path source = fs::is_directory(from) ? from : from.parent_path();
  for (const char* name : names) copy_over(source / name, folder / name);
}

// Files come under a name of their own first, and under the final one when all of them are whole.
class NewFolder {
 public:
  explicit NewFolder(const fs::path& folder)
      : final_(without_slash(fs::absolute(folder))), into_(fs::exists(final_)), place_(temporary_name(into_ ? final_ / "export" : final_)) {
    make_folders(place_);
  }
  ~NewFolder() {
    std::error_code gone;
    fs::remove_all(place_, gone);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;
  const fs::path& place() const { return place_; }

  void commit() {
    if (!into_) return replace_file(place_, final_);
    std::vector<fs::path> files;  // listed first: moving them changes the folder
    for (const fs::directory_entry& file : fs::directory_iterator(place_)) files.push_back(file.path());
    for (const fs::path& file : files) replace_file(file, final_ / file.filename());
  }

 private:
  static fs::path without_slash(const fs::path& path) { return path.has_filename() ? path : path.parent_path(); }
  fs::path final_;
  bool into_;  // a folder that is there already
  fs::path place_;
};

}  // namespace

void export_weights(const fs::path& folder, const std::string& json, const WeightRules& rules, const ParameterSet& set,
                    const WeightSource& source, DType type, const fs::path& tokenizer) {
  if (type != DType::f32 && type != DType::bf16)
    throw DeckError(text("convert.dtype = ", name_of(type), ": a Hugging Face folder is written in fp32 or bf16"));
  NewFolder files(folder);
  std::vector<SafetensorsItem> items;
  for (const Parameter& p : set.parameters()) {
    SafetensorsItem item{p.name, type, {}};
    for (int d = 0; d < p.shape.rank(); ++d) item.shape.push_back(p.shape[d]);
    items.push_back(std::move(item));
  }
  SafetensorsWriter writer(files.place() / "model.safetensors", items);
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
  write_text_atomically(files.place() / "config.json", config_text(json, rules, type));
  if (!tokenizer.empty()) copy_tokenizer(tokenizer, files.place());
  files.commit();
}

void export_weights(const fs::path& folder, const CausalConfig& config, const ParameterSet& set, const WeightSource& source, DType type,
                    const fs::path& tokenizer) {
  export_weights(folder, config.json, config.weight_rules(), set, source, type, tokenizer);
}

}  // namespace strata
