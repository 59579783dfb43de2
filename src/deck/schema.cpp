// All sections in the order of a deck, and finding keys in them.
#include "deck/schema.hpp"

#include <algorithm>

namespace strata::deck {

const std::vector<Section>& schema() {
  static const std::vector<Section> sections = {
      schema_run(),        schema_model(),     schema_tokenizer(), schema_data(),      schema_prepare(),  schema_batch(),
      schema_train(),      schema_optimizer(), schema_schedule(),  schema_precision(), schema_parallel(), schema_device(),
      schema_checkpoint(), schema_evaluate(),  schema_generate(),  schema_convert(),   schema_check(),    schema_measure(),
      schema_plan()};
  return sections;
}

const Section* find_section(std::string_view name) {
  for (const auto& section : schema()) {
    if (section.name == name) return &section;
  }
  return nullptr;
}

const Key* find_key(std::string_view section, std::string_view name) {
  const Section* found = find_section(section);
  if (!found) return nullptr;
  for (const auto& key : found->keys) {
    if (key.name == name || std::find(key.old_names.begin(), key.old_names.end(), name) != key.old_names.end()) return &key;
  }
  return nullptr;
}

const Key* find_key(std::string_view full_name) {
  const auto dot = full_name.find('.');
  if (dot == std::string_view::npos) return nullptr;
  const Key* key = find_key(full_name.substr(0, dot), full_name.substr(dot + 1));
  return key && key->name == full_name.substr(dot + 1) ? key : nullptr;
}

std::vector<std::string> section_names() {
  std::vector<std::string> names;
  for (const auto& section : schema()) names.push_back(section.name);
  return names;
}

std::vector<std::string> key_names(const Section& section) {
  std::vector<std::string> names;
  for (const auto& key : section.keys) names.push_back(key.name);
  return names;
}

}  // namespace strata::deck
