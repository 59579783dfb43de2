// The key table as text, JSON and Markdown.
#include "strata/deck/keys.hpp"

#include <nlohmann/json.hpp>

#include "deck/schema.hpp"
#include "deck/text_tools.hpp"
#include "strata/base/error.hpp"

namespace strata {

using namespace deck;

namespace {

/// The sections asked for, cut down to one key where one is named.
std::vector<Section> selected(std::string_view which) {
  if (which.empty()) return schema();
  const auto dot = which.find('.');
  const std::string name(which.substr(0, dot));
  const Section* section = find_section(name);
  if (!section) {
    const std::string near = nearest(name, section_names());
    throw DeckError("there is no section [" + printable(name) + "]" + (near.empty() ? "" : "; nearest: " + near) +
                    "; the sections: " + joined(section_names(), ", "));
  }
  if (dot == std::string_view::npos) return {*section};
  const std::string key_name(which.substr(dot + 1));
  const Key* key = find_key(name, key_name);
  if (!key) {
    const std::string near = nearest(key_name, key_names(*section));
    throw DeckError("there is no key " + printable(which) + (near.empty() ? "" : "; nearest: " + name + "." + near) + "; the keys of [" +
                    name + "]: " + joined(key_names(*section), ", "));
  }
  return {Section{section->name, section->sentence, {*key}}};
}

const Settings& defaults() {
  static const Settings settings;
  return settings;
}

/// "whole number, at least 1 [steps]"; choices show as they are.
std::string form_of(const Key& key) {
  std::string form = key.form.choices.empty() ? key.form.type + (key.form.allowed.empty() ? "" : ", " + key.form.allowed)
                                              : (key.form.type == "choice" ? "" : key.form.type + ": ") + key.form.allowed;
  return key.unit.empty() || key.unit == "1" ? form : form + " [" + key.unit + "]";
}

std::string default_of(const Key& key) {
  const std::string value = key.get(defaults());
  return value.empty() || value == "\"\"" ? "" : value;
}

/// What stands behind the sentence: needed by which commands, values to come, old names.
std::string remarks_of(const Key& key) {
  std::string remarks;
  if (!key.required_by.empty()) remarks += " Required by " + joined(key.required_by, ", ") + ".";
  if (!key.form.unavailable.empty()) remarks += " Not in this version: " + joined(key.form.unavailable, ", ") + ".";
  if (!key.old_names.empty()) remarks += " Old names: " + joined(key.old_names, ", ") + ".";
  return remarks;
}

/// A table cell: a bar would end it.
std::string cell(const std::string& text) {
  std::string safe;
  for (const char c : text) (c == '|' ? safe += "\\" : safe) += c;
  return safe;
}

}  // namespace

std::string keys_text(std::string_view which) {
  std::string out;
  for (const auto& section : selected(which)) {
    out += (out.empty() ? "[" : "\n[") + section.name + "]  " + section.sentence + "\n";
    for (const auto& key : section.keys) {
      const std::string value = default_of(key);
      out += "  " + key.name + " = " + (value.empty() ? "(empty)" : value) + "\n      " + form_of(key) + "\n      " + key.sentence +
             remarks_of(key) + "\n";
    }
  }
  return out;
}

std::string keys_json(std::string_view which) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const auto& section : selected(which)) {
    for (const auto& key : section.keys) {
      all.push_back({{"section", key.section},
                     {"name", key.name},
                     {"type", key.form.type},
                     {"default", key.get(defaults())},
                     {"allowed", key.form.allowed},
                     {"choices", key.form.choices},
                     {"unavailable", key.form.unavailable},
                     {"unit", key.unit},
                     {"description", key.sentence},
                     {"required_by", key.required_by},
                     {"decides_result", key.decides_result},
                     {"old_names", key.old_names}});
    }
  }
  return all.dump(2) + "\n";
}

std::string keys_markdown() {
  std::string out =
      "# Keys of a deck\n\n"
      "Made from the key table by `strata keys --markdown`; a test fails when this page is stale. Values: `# comment`, lists with commas, "
      "sizes of whole\n"
      "numbers with `k M G Ki Mi Gi`, times with `s m h d`, texts in double quotes where they hold `#`, commas, leading or trailing spaces "
      "or the escapes\n"
      "`\\n \\t \\r \\\" \\\\ \\$`, `${NAME}` from the environment. `--section.key=value` on the command line wins over decks, later decks "
      "over earlier ones.\n"
      "Keys marked with * decide the result: a run that goes on from a checkpoint may not change them.\n";
  for (const auto& section : schema()) {
    out += "\n## [" + section.name + "]\n\n" + section.sentence + "\n\n| key | default | values | meaning |\n|---|---|---|---|\n";
    for (const auto& key : section.keys) {
      const std::string value = default_of(key);
      out += "| `" + key.name + "`" + (key.decides_result ? " *" : "") + " | " + (value.empty() ? "" : "`" + cell(value) + "`") + " | " +
             cell(form_of(key)) + " | " + cell(key.sentence + remarks_of(key)) + " |\n";
    }
  }
  return out;
}

}  // namespace strata
