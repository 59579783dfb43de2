// Reads Hugging Face's tokenizer.json; refuses by name what is not byte-level BPE with a known split.
#include <nlohmann/json.hpp>

#include "strata/base/error.hpp"
#include "tokenizer/byte_bpe.hpp"
#include "tokenizer/json_text.hpp"
#include "tokenizer/vocabulary_reader.hpp"

namespace strata {
using nlohmann::json;
namespace {

/// Reads one file; every function handles one of its members.
class Reader {
 public:
  Reader(const json& root, ByteBpeParts& parts) : root_(root), parts_(parts) {}
  void read() {
    check_model();
    read_normalizer(member_or_null(root_, "normalizer"));
    read_pre_tokenizer(member_or_null(root_, "pre_tokenizer"));
    check_around();
    read_vocabulary(member_or_null(model(), "vocab"), parts_);
    read_merges();
    read_added_list(member_or_null(root_, "added_tokens"), parts_);
  }

 private:
  const json& model() const { return member_or_null(root_, "model"); }
  [[noreturn]] void refuse(const char* what, const std::string& found, const char* known) const {
    throw DataError(text(parts_.source, ": the ", what, " ", found, " is not known to Strata, which reads ", known));
  }
  static std::string type_of(const json& object) {
    const json& type = member_or_null(object, "type");
    return type.is_string() ? type.get<std::string>() : "";
  }
  /// The members of a Sequence, or the object itself.
  static std::vector<json> flattened(const json& object, const char* list) {
    if (object.is_null()) return {};
    if (type_of(object) != "Sequence") return {object};
    std::vector<json> all;
    for (const json& part : member_or_null(object, list))
      for (json& inner : flattened(part, list)) all.push_back(std::move(inner));
    return all;
  }

  void check_model();
  void read_normalizer(const json& object);
  void read_pre_tokenizer(const json& object);
  void read_split(const json& object);
  void check_around();
  void read_merges();

  const json& root_;
  ByteBpeParts& parts_;
};

void Reader::check_model() {
  if (!model().is_object()) throw DataError(text(parts_.source, ": there is no \"model\" object: is it a tokenizer.json?"));
  const std::string type = type_of(model());
  if (type != "BPE" && !type.empty()) refuse("model", "'" + type + "'", "byte-level 'BPE' from tokenizer.json");
  for (const char* name : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    const json& value = member_or_null(model(), name);
    if (!value.is_null() && value != json("") && value != json(0.0))
      refuse("model setting", text(name, " = ", shown(value)), "models without it");
  }
  parts_.ignore_merges = member_or_null(model(), "ignore_merges") == json(true);
}

void Reader::read_normalizer(const json& object) {
  for (const json& part : flattened(object, "normalizers")) {
    if (type_of(part) != "NFC") refuse("normalizer", shown(part), "NFC, or none");
    parts_.nfc = true;
  }
}

void Reader::read_split(const json& object) {
  const json& pattern = member_or_null(member_or_null(object, "pattern"), "Regex");
  const auto rule = pattern.is_string() ? split_rule_of(pattern.get_ref<const std::string&>()) : std::nullopt;
  if (!rule)
    refuse("split pattern", shown(pattern.is_null() ? member_or_null(object, "pattern") : pattern), "those of GPT-2, Qwen2 and Llama 3");
  if (member_or_null(object, "behavior") != json("Isolated") || member_or_null(object, "invert") == json(true))
    refuse("Split pre-tokenizer", shown(object), "behavior Isolated, invert false");
  parts_.rule = *rule;
}

void Reader::read_pre_tokenizer(const json& object) {
  const std::vector<json> steps = flattened(object, "pretokenizers");
  const char* known = "Split with a known pattern before ByteLevel, or ByteLevel alone";
  if (steps.empty() || steps.size() > 2 || type_of(steps.back()) != "ByteLevel") refuse("pre-tokenizer", shown(object), known);
  const json& bytes = steps.back();
  if (member_or_null(bytes, "add_prefix_space") != json(false))
    refuse("pre-tokenizer setting", "add_prefix_space = true", "add_prefix_space = false");
  const bool use_regex = member_or_null(bytes, "use_regex") != json(false);
  if (steps.size() == 1) {
    if (!use_regex) refuse("pre-tokenizer", "ByteLevel with use_regex = false and nothing before it", known);
    parts_.rule = SplitRule::gpt2;
    return;
  }
  if (type_of(steps[0]) != "Split") refuse("pre-tokenizer", shown(steps[0]), known);
  if (use_regex) refuse("pre-tokenizer", "Split followed by ByteLevel with use_regex = true", known);
  read_split(steps[0]);
}

/// The post-processor could only add tokens at the ends, which encode() never does, so ByteLevel and TemplateProcessing change nothing
/// here.
void Reader::check_around() {
  for (const json& part : flattened(member_or_null(root_, "post_processor"), "processors"))
    if (type_of(part) != "ByteLevel" && type_of(part) != "TemplateProcessing")
      refuse("post-processor", shown(part), "ByteLevel and TemplateProcessing");
  const json& decoder = member_or_null(root_, "decoder");
  if (type_of(decoder) != "ByteLevel") refuse("decoder", shown(decoder), "ByteLevel");
}

void Reader::read_merges() {
  const json& merges = member_or_null(model(), "merges");
  if (!merges.is_array()) throw DataError(text(parts_.source, ": model.merges is expected to be a list, found ", merges.type_name()));
  MergeReader reader(parts_);
  parts_.merges.reserve(merges.size());
  for (const json& merge : merges) {
    if (merge.is_string())
      reader.add_line(merge.get_ref<const std::string&>());
    else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
      reader.add(merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>());
    else
      throw DataError(
          text(parts_.source, ": merge ", parts_.merges.size() + 1, " is expected to be \"a b\" or [\"a\", \"b\"], found ", shown(merge)));
  }
}

}  // namespace

ByteBpeParts read_tokenizer_json(const json& root, const std::string& source) {
  ByteBpeParts parts;
  parts.source = source;
  Reader(root, parts).read();
  return parts;
}

}  // namespace strata
