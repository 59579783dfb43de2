// Weights from safetensors: which tensor is which parameter, whether all fit, and their values.
#include <algorithm>
#include <bit>
#include <cstring>
#include <map>

#include "models/weight_pieces.hpp"
#include "strata/base/half.hpp"
#include "strata/models/weight_rules.hpp"

namespace strata {
namespace {

void read_as_float(const SafetensorsReader& file, const SafetensorsEntry& entry, std::int64_t first, std::int64_t count,
                   std::vector<unsigned char>& raw, float* to) {
  raw.resize(static_cast<std::size_t>(count) * size_of(entry.type));
  file.read(entry, first, count, raw.data());
  for (std::int64_t i = 0; i < count; ++i) {
    if (entry.type == DType::f32)
      std::memcpy(to + i, raw.data() + 4 * i, 4);
    else if (entry.type == DType::f64) {
      double d;
      std::memcpy(&d, raw.data() + 8 * i, 8);
      to[i] = static_cast<float>(d);
    } else {
      std::uint16_t bits;
      std::memcpy(&bits, raw.data() + 2 * i, 2);
      to[i] = entry.type == DType::bf16 ? static_cast<float>(BFloat16::from_bits(bits)) : static_cast<float>(Half::from_bits(bits));
    }
  }
}

Shape shape_of(const SafetensorsEntry& entry) {
  Shape shape;
  for (std::int64_t size : entry.shape) shape.append(size);
  return shape;
}

bool known_type(DType type) {
  return type == DType::f32 || type == DType::bf16 || type == DType::f16 || type == DType::f64;
}

void compare_tied_head(const SafetensorsReader& file, const WeightRules& rules, const SafetensorsEntry& embedding,
                       const SafetensorsEntry& head) {
  std::vector<unsigned char> raw;
  std::vector<float> a(static_cast<std::size_t>(piece_elements)), b(a.size());
  for (std::int64_t first = 0, n = embedding.elements(); first < n; first += piece_elements) {
    const std::int64_t count = std::min(piece_elements, n - first);
    read_as_float(file, embedding, first, count, raw, a.data());
    read_as_float(file, head, first, count, raw, b.data());
    const auto differs = std::mismatch(a.begin(), a.begin() + count, b.begin());
    if (differs.first != a.begin() + count)
      throw DataError(text(head.file.string(), ": tie_word_embeddings is true, but ", rules.tied_head, " differs from ", rules.tied_to,
                           " at element ", first + (differs.first - a.begin()),
                           "; set tie_word_embeddings to false in config.json, or remove ", rules.tied_head));
  }
}

bool fresh(const WeightRules& rules, const std::string& name) {
  return std::any_of(rules.fresh_beginnings.begin(), rules.fresh_beginnings.end(), [&](const auto& b) { return name.starts_with(b); });
}

// What nobody reads.
bool ignored(const WeightRules& rules, const std::string& name) {
  const std::string bare = name.starts_with(rules.prefix) ? name.substr(rules.prefix.size()) : name;
  return std::any_of(rules.ignored_beginnings.begin(), rules.ignored_beginnings.end(),
                     [&](const auto& b) { return bare.starts_with(b); }) ||
         std::any_of(rules.ignored_endings.begin(), rules.ignored_endings.end(), [&](const auto& e) { return name.ends_with(e); });
}

// The file's tensors by parameter.
struct NamedTensors {
  struct Tensor {
    std::string name;  // in the file
    const SafetensorsEntry* entry = nullptr;
  };
  std::map<int, Tensor> of;
  const SafetensorsEntry* tied_head = nullptr;
  std::vector<std::string> findings;  // what is there twice, or is no parameter

  NamedTensors(const SafetensorsReader& file, const WeightRules& rules, const ParameterSet& set) {
    for (const auto& [name, entry] : file.tensors()) {
      const int p = parameter_of(rules, set, name);
      if (p < 0 && !rules.tied_head.empty() && name == rules.tied_head)
        tied_head = &entry;
      else if (p < 0 && !ignored(rules, name))
        findings.push_back(text(entry.file.string(), ": ", name, " is not a parameter of this ", rules.family, " model"));
      if (p < 0) continue;
      const auto [at, added] = of.try_emplace(p, Tensor{name, &entry});
      if (added) continue;
      const std::string &a = at->second.name, &shorter = name.size() < a.size() ? name : a, &longer = name.size() < a.size() ? a : name;
      findings.push_back(
          text(entry.file.string(), ": holds both ", shorter, " and ", longer, ", which are one parameter: remove one of them"));
      if (name == set[p].name) at->second = {name, &entry};
    }
  }
  const SafetensorsEntry* entry(int p) const {
    const auto found = of.find(p);
    return found == of.end() ? nullptr : found->second.entry;
  }

 private:
  // With its old ending and without the prefix, where a base model was saved.
  static int parameter_of(const WeightRules& rules, const ParameterSet& set, std::string name) {
    for (const auto& [old, today] : rules.old_endings)
      if (name.ends_with(old)) name = name.substr(0, name.size() - old.size()) + today;
    const int p = set.find(name);
    return p >= 0 ? p : set.find(rules.prefix + name);
  }
};

void check_entry(const std::string& name, const SafetensorsEntry& entry, const Shape& shape, std::vector<std::string>& findings) {
  if (entry.shape.size() > static_cast<std::size_t>(Shape::max_rank) || !(shape_of(entry) == shape)) {
    std::string found;
    for (std::int64_t size : entry.shape) found += (found.empty() ? "" : ", ") + std::to_string(size);
    findings.push_back(text(entry.file.string(), ": ", name, " has shape [", found, "], the model's configuration asks for ", shape.str()));
  }
  if (!known_type(entry.type))
    findings.push_back(text(entry.file.string(), ": ", name, " is of type ", name_of(entry.type), "; expected f32, bf16, f16 or f64"));
}

}  // namespace

std::vector<std::string> check_weights(const SafetensorsReader& file, const WeightRules& rules, const ParameterSet& set) {
  const NamedTensors tensors(file, rules, set);
  std::vector<std::string> findings;
  for (std::size_t p = 0; p < set.parameters().size(); ++p) {
    const Parameter& parameter = set.parameters()[p];
    if (const SafetensorsEntry* entry = tensors.entry(static_cast<int>(p)))
      check_entry(parameter.name, *entry, parameter.shape, findings);
    else if (!fresh(rules, parameter.name))
      findings.push_back(text("the weights lack ", parameter.name, " ", parameter.shape.str()));
  }
  if (tensors.tied_head) check_entry(rules.tied_head, *tensors.tied_head, set[set.find(rules.tied_to)].shape, findings);
  findings.insert(findings.end(), tensors.findings.begin(), tensors.findings.end());
  return findings;
}

std::vector<std::string> fresh_parameters(const SafetensorsReader& file, const WeightRules& rules, const ParameterSet& set) {
  const NamedTensors tensors(file, rules, set);
  std::vector<std::string> names;
  for (std::size_t p = 0; p < set.parameters().size(); ++p)
    if (!tensors.entry(static_cast<int>(p)) && fresh(rules, set.parameters()[p].name)) names.push_back(set.parameters()[p].name);
  return names;
}

void require_weights(const SafetensorsReader& file, const WeightRules& rules, const ParameterSet& set) {
  const auto findings = check_weights(file, rules, set);
  if (!findings.empty()) {
    std::string all = "the weights do not fit the model:";
    for (std::size_t i = 0; i < std::min<std::size_t>(findings.size(), 20); ++i) all += "\n  " + findings[i];
    if (findings.size() > 20) all += text("\n  and ", findings.size() - 20, " more");
    throw DataError(all);
  }
  const NamedTensors tensors(file, rules, set);
  if (tensors.tied_head) compare_tied_head(file, rules, *tensors.entry(set.find(rules.tied_to)), *tensors.tied_head);
}

void load_weights(Stream& stream, const SafetensorsReader& file, const WeightRules& rules, const ParameterSet& set,
                  const WeightStore& store, std::uint64_t seed) {
  require_weights(file, rules, set);
  const NamedTensors tensors(file, rules, set);
  for_pieces(stream, set, store, [&](int p, std::int64_t first, std::int64_t count) {
    const SafetensorsEntry* entry = tensors.entry(p);
    if (!entry) {
      store.store(p, first, random_values(set[p], rules.initializer_range, seed, first, count));
      return;
    }
    std::vector<unsigned char> raw;
    std::vector<float> values(static_cast<std::size_t>(count));
    read_as_float(file, *entry, first, count, raw, values.data());
    store.store(p, first, values);
  });
}

std::vector<std::string> check_weights(const SafetensorsReader& file, const CausalConfig& config, const ParameterSet& set) {
  return check_weights(file, config.weight_rules(), set);
}
void require_weights(const SafetensorsReader& file, const CausalConfig& config, const ParameterSet& set) {
  require_weights(file, config.weight_rules(), set);
}
void load_weights(Stream& stream, const SafetensorsReader& file, const CausalConfig& config, const ParameterSet& set,
                  const WeightStore& store) {
  load_weights(stream, file, config.weight_rules(), set, store, 0);
}

}  // namespace strata
