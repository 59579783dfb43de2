// A model in Hugging Face's form: config.json, safetensors, tokenizer files.
#include <algorithm>
#include <map>

#include "commands/inspect.hpp"
#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "strata/io/safetensors.hpp"
#include "strata/models/causal_lm.hpp"
#include "strata/models/weights.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

std::string padded(std::string name) {
  return name + std::string(name.size() < 24 ? 24 - name.size() : 1, ' ');
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string result = "[";
  for (const std::int64_t size : shape) result += text(result.size() > 1 ? ", " : "", size);
  return result + "]";
}

/// Numbers between dots become *: "model.layers.*.mlp.up_proj.weight".
std::string pattern_of(const std::string& name) {
  std::string result;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t dot = std::min(name.find('.', at), name.size());
    const std::string part = name.substr(at, dot - at);
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    result += (at > 0 ? "." : "") + (number ? "*" : part);
    at = dot + 1;
  }
  return result;
}

void describe_tensors(const SafetensorsReader& file, Inspected& found) {
  std::int64_t elements = 0, bytes = 0;
  std::map<std::string, std::int64_t> by_type;
  std::map<std::string, int> by_pattern;
  for (const auto& [name, entry] : file.tensors()) {
    elements += entry.elements(), bytes += entry.bytes();
    by_type[name_of(entry.type)] += entry.elements();
    by_pattern[text(pattern_of(name), "  ", name_of(entry.type), " ", shape_text(entry.shape))] += 1;
    found.json["tensors"][name] = {
        {"type", name_of(entry.type)}, {"shape", entry.shape}, {"bytes", entry.bytes()}, {"file", entry.file.filename().string()}};
  }
  std::string types;
  for (const auto& [type, count] : by_type)
    types += text(types.empty() ? "" : ", ", count, " in ", type), found.json["types"][type] = count;
  found.text += padded("tensors") + text(file.tensors().size(), ", ", bytes_text(static_cast<double>(bytes)), "\n");
  found.text += padded("parameters") + text(elements, " (", types, ")\n");
  for (const auto& [pattern, count] : by_pattern) found.text += text("  ", pattern, count > 1 ? text("  x ", count) : "", "\n");
  for (const auto& [name, value] : file.metadata()) found.text += padded("metadata " + name) + value + "\n";
  found.json["parameters"] = elements, found.json["tensor_bytes"] = bytes, found.json["metadata"] = file.metadata();
}

std::vector<fs::path> files_of(const SafetensorsReader& file) {
  std::vector<fs::path> files;
  for (const auto& [name, entry] : file.tensors())
    if (std::find(files.begin(), files.end(), entry.file) == files.end()) files.push_back(entry.file);
  std::sort(files.begin(), files.end());
  return files;
}

/// config.json in words; an unsupported model is said, not refused: a person wants to know what the folder is.
std::unique_ptr<Model> describe_config(const fs::path& folder, Inspected& found) {
  if (!fs::exists(folder / "config.json")) {
    found.text += padded("model") + "no config.json\n";
    return nullptr;
  }
  const std::string content = read_text(folder / "config.json", 1 << 24);
  const Json config = Json::parse(content, nullptr, false);
  found.json["config"] = config.is_discarded() ? Json(nullptr) : config;
  try {
    std::unique_ptr<Model> model = make_model(folder);
    found.text += padded("model") + model->summary() + "\n";
    found.json["supported"] = true;
    return model;
  } catch (const Error& e) {
    const std::string type = config.is_object() && config.contains("model_type") && config["model_type"].is_string()
                                 ? config["model_type"].get<std::string>()
                                 : "unknown";
    found.text += padded("model") + type + ", not one Strata computes: " + e.what() + "\n";
    found.json["supported"] = false, found.json["problem"] = e.what();
  }
  return nullptr;
}

void verify_weights(const SafetensorsReader& file, const Model* model, Inspected& found) {
  for (const fs::path& path : files_of(file)) {
    const std::string hash = xxh3_128_of_file(path);
    found.text += padded("XXH3-128") + hash + "  " + path.filename().string() + "\n";
    found.json["hashes"][path.filename().string()] = hash;
  }
  if (model)
    for (const std::string& line : check_weights(file, model->weight_rules(), model->parameters())) found.damage.push_back(line);
  found.sound = text(model ? "names, shapes and types are those of config.json" : "the headers are sound",
                     "; safetensors hold no checksums: compare the hashes with those of another copy");
}

}  // namespace

bool is_model_folder(const fs::path& folder) {
  return fs::exists(folder / "config.json") || fs::exists(folder / "model.safetensors") ||
         fs::exists(folder / "model.safetensors.index.json");
}

Inspected inspect_weights(const fs::path& path, bool verify) {
  Inspected found;
  const bool folder = fs::is_directory(path);
  found.json["kind"] = folder ? "hugging_face_folder" : "safetensors", found.json["path"] = path.string();
  found.text = padded(folder ? "Hugging Face folder" : "safetensors file") + path.string() + "\n";
  std::unique_ptr<Model> model;
  if (folder) model = describe_config(path, found);
  std::string tokenizer;
  for (const char* name : {"tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "vocab.txt", "tokenizer_config.json"})
    if (folder && fs::exists(path / name))
      tokenizer += (tokenizer.empty() ? "" : ", ") + std::string(name), found.json["tokenizer_files"].push_back(name);
  if (folder) found.text += padded("tokenizer") + (tokenizer.empty() ? "none" : tokenizer) + "\n";
  if (folder && !fs::exists(path / "model.safetensors") && !fs::exists(path / "model.safetensors.index.json")) {
    found.text += padded("tensors") + "none: no model.safetensors\n";
    if (verify) found.damage.push_back(text(path.string(), " holds no model.safetensors"));
    return found;
  }
  const SafetensorsReader file(path);
  describe_tensors(file, found);
  if (verify) verify_weights(file, model.get(), found);
  return found;
}

}  // namespace strata
