// Reads what describes a WordPiece tokenizer: vocab.txt with tokenizer_config.json, or tokenizer.json.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "tokenizer/json_text.hpp"
#include "tokenizer/vocabulary_reader.hpp"
#include "tokenizer/wordpiece.hpp"

namespace strata {
using nlohmann::json;
namespace fs = std::filesystem;
namespace {

constexpr const char* special_keys[] = {"unk_token", "sep_token", "pad_token", "cls_token", "mask_token"};
constexpr const char* special_defaults[] = {"[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]"};

/// One token per line; blanks behind it do not belong to it.
void read_lines(const std::string& content, WordPieceParts& parts) {
  TokenId id = 0;
  for (std::size_t at = 0; at < content.size(); ++id) {
    const std::size_t stop = std::min(content.find('\n', at), content.size());
    std::string token = content.substr(at, stop - at);
    token.erase(token.find_last_not_of(" \t\r\f\v") + 1);
    if (id > largest_id) throw DataError(text(parts.source, ": has more than ", largest_id, " lines: is it a vocabulary?"));
    if (!token.empty()) parts.vocabulary.emplace(id, std::move(token));
    at = stop + 1;
  }
  if (parts.vocabulary.empty()) throw DataError(text(parts.source, ": holds no tokens; a WordPiece vocabulary has one per line"));
}

std::optional<bool> flag(const json& object, const char* name, const std::string& file) {
  const json& value = member_or_null(object, name);
  if (value.is_null()) return std::nullopt;
  if (!value.is_boolean()) throw DataError(text(file, ": ", name, " is expected to be true, false or null, found ", shown(value)));
  return value.get<bool>();
}

/// What a special token is called: by the configuration (a text, or an object with the text as its content), else as BERT calls it.
std::string special_name(const json& config, std::size_t k, const std::string& file) {
  const json& value = member_or_null(config, special_keys[k]);
  if (value.is_null()) return special_defaults[k];
  const json& content = value.is_object() ? member_or_null(value, "content") : value;
  if (!content.is_string()) throw DataError(text(file, ": ", special_keys[k], " is expected to be a token, found ", shown(value)));
  return content.get<std::string>();
}

void read_rules(const json& config, const std::string& file, BertRules& rules) {
  const json& type = member_or_null(config, "tokenizer_class");
  const auto begins = [&](const char* start) { return type.get_ref<const std::string&>().rfind(start, 0) == 0; };
  if (type.is_string() && !begins("BertTokenizer") && !begins("DistilBertTokenizer") && !begins("ElectraTokenizer"))
    throw DataError(text(file, ": tokenizer_class is ", shown(type), ", and how that reads vocab.txt is not known to Strata (Bert, ",
                         "DistilBert and Electra are); a tokenizer.json says it itself"));
  rules.lowercase = flag(config, "do_lower_case", file).value_or(true);
  rules.strip_accents = flag(config, "strip_accents", file).value_or(rules.lowercase);
  rules.chinese = flag(config, "tokenize_chinese_chars", file).value_or(true);
  if (flag(config, "do_basic_tokenize", file) == false)
    throw DataError(text(file, ": do_basic_tokenize = false is not known to Strata, nor to Hugging Face's fast tokenizers"));
}

/// The special tokens, which are never split, even those that the files beside do not list among the added ones.
void mark_special(const json& config, const std::string& file, WordPieceParts& parts) {
  std::set<std::string> names;
  for (std::size_t k = 0; k < std::size(special_keys); ++k) names.insert(special_name(config, k, file));
  const json& more = member_or_null(config, "additional_special_tokens");
  for (const json& token : more.is_array() ? more : json::array())
    if (const json& content = token.is_object() ? member_or_null(token, "content") : token; content.is_string())
      names.insert(content.get<std::string>());
  for (const AddedToken& token : parts.added) names.erase(token.content);
  for (const std::string& name : names)
    if (const auto id = id_of(parts, name)) parts.added.push_back({name, *id, true, false});
}

/// Slow tokenizers of Hugging Face keep other words whole, too; its fast ones, whose ids these are, do not.
void check_never_split(const json& config, const std::string& file, const WordPieceParts& parts) {
  const json& list = member_or_null(config, "never_split");
  for (const json& token : list.is_array() ? list : json::array()) {
    const bool added = token.is_string() && std::any_of(parts.added.begin(), parts.added.end(),
                                                        [&](const AddedToken& a) { return a.content == token.get<std::string>(); });
    if (!added)
      throw DataError(text(file, ": never_split names ", shown(token), ", which is no special or added token: only those are never split ",
                           "(as in Hugging Face's fast tokenizers); list it in added_tokens.json, or take it out"));
  }
}

void find_pair_tokens(const json& config, const std::string& file, WordPieceParts& parts) {
  const auto sep = id_of(parts, special_name(config, 1, file)), pad = id_of(parts, special_name(config, 2, file)),
             cls = id_of(parts, special_name(config, 3, file));
  if (cls && sep && pad) parts.pair = PairTokens{*cls, *sep, *pad};
}

std::string text_setting(const json& object, const char* name, const std::string& otherwise, const std::string& source) {
  const json& value = member_or_null(object, name);
  if (value.is_null()) return otherwise;
  if (!value.is_string()) throw DataError(text(source, ": ", name, " is expected to be a text, found ", shown(value)));
  return value.get<std::string>();
}

[[noreturn]] void refuse(const std::string& source, const char* what, const json& found, const char* known) {
  throw DataError(text(source, ": the ", what, " ", shown(found), " is not known to Strata for WordPiece, which reads ", known));
}

void read_normalizer(const json& root, WordPieceParts& parts) {
  const json& object = member_or_null(root, "normalizer");
  if (member_or_null(object, "type") != json("BertNormalizer")) refuse(parts.source, "normalizer", object, "BertNormalizer");
  if (flag(object, "clean_text", parts.source) == false) refuse(parts.source, "normalizer", object, "clean_text = true");
  parts.rules.lowercase = flag(object, "lowercase", parts.source).value_or(true);
  parts.rules.strip_accents = flag(object, "strip_accents", parts.source).value_or(parts.rules.lowercase);
  parts.rules.chinese = flag(object, "handle_chinese_chars", parts.source).value_or(true);
}

void read_model(const json& model, WordPieceParts& parts) {
  read_vocabulary(member_or_null(model, "vocab"), parts);
  parts.unknown = text_setting(model, "unk_token", "[UNK]", parts.source);
  parts.prefix = text_setting(model, "continuing_subword_prefix", "##", parts.source);
  const json& longest = member_or_null(model, "max_input_chars_per_word");
  if (longest.is_null()) return;
  if (!longest.is_number_integer() || longest.get<std::int64_t>() < 1)
    throw DataError(text(parts.source, ": max_input_chars_per_word is expected to be a whole number from 1, found ", shown(longest)));
  parts.longest_word = longest.get<std::int64_t>();
}

}  // namespace

WordPieceParts read_vocab_lines(const fs::path& vocab, const fs::path& beside) {
  WordPieceParts parts;
  parts.source = vocab.string();
  read_lines(read_text(vocab), parts);
  const std::string file = (beside / "tokenizer_config.json").string();
  const json config = read_json_object_if_there(file);
  read_rules(config, file, parts.rules);
  parts.unknown = special_name(config, 0, file);
  read_added_tokens(config, beside, parts);
  mark_special(config, file, parts);
  check_never_split(config, file, parts);
  find_pair_tokens(config, file, parts);
  return parts;
}

bool is_wordpiece_json(const json& root) {
  const json& model = member_or_null(root, "model");
  const json& type = member_or_null(model, "type");
  return type == json("WordPiece") || (type.is_null() && model.is_object() && model.contains("max_input_chars_per_word"));
}

WordPieceParts read_wordpiece_json(const json& root, const std::string& source, const fs::path& beside) {
  WordPieceParts parts;
  parts.source = source;
  read_normalizer(root, parts);
  const json& splitter = member_or_null(root, "pre_tokenizer");
  if (member_or_null(splitter, "type") != json("BertPreTokenizer")) refuse(source, "pre-tokenizer", splitter, "BertPreTokenizer");
  const json& decoder = member_or_null(root, "decoder");
  if (!decoder.is_null() && member_or_null(decoder, "type") != json("WordPiece")) refuse(source, "decoder", decoder, "WordPiece");
  parts.cleanup = flag(decoder, "cleanup", source).value_or(true);
  read_model(member_or_null(root, "model"), parts);
  read_added_list(member_or_null(root, "added_tokens"), parts);
  const std::string file = (beside / "tokenizer_config.json").string();
  find_pair_tokens(read_json_object_if_there(file), file, parts);
  return parts;
}

}  // namespace strata
