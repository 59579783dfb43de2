// Reads vocab.json + merges.txt, and the configuration files that lie beside them.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "tokenizer/byte_bpe.hpp"
#include "tokenizer/json_text.hpp"
#include "tokenizer/vocabulary_reader.hpp"

namespace strata {
using nlohmann::json;
namespace fs = std::filesystem;
namespace {

constexpr const char* gpt2_end = "<|endoftext|>";

bool has_token(const ByteBpeParts& parts, const std::string& token) {
  return std::any_of(parts.vocabulary.begin(), parts.vocabulary.end(), [&](const auto& row) { return row.second == token; });
}

/// These files do not say how text is split, so the class in tokenizer_config.json does, else the model in config.json, else this rule:
/// GPT-2 keeps <|endoftext|> in its vocabulary, Qwen2 among the added tokens.
void choose_rule(const json& tokenizer_config, const json& model_config, const fs::path& beside, ByteBpeParts& parts) {
  std::string name = "", where;
  if (const json& type = member_or_null(tokenizer_config, "tokenizer_class"); type.is_string())
    name = type.get<std::string>(), where = (beside / "tokenizer_config.json").string();
  else if (const json& model = member_or_null(model_config, "model_type"); model.is_string())
    name = model.get<std::string>(), where = (beside / "config.json").string();
  else
    name = has_token(parts, gpt2_end) ? "gpt2" : "qwen2";
  const auto begins = [&](const char* start) { return name.rfind(start, 0) == 0; };
  if (begins("Qwen2") || begins("qwen2") || begins("Qwen3") || begins("qwen3")) {
    parts.rule = SplitRule::qwen2;
    parts.nfc = true;
  } else if (begins("GPT2") || begins("gpt2")) {
    parts.rule = SplitRule::gpt2;
  } else {
    throw DataError(text(where, ": names '", name,
                         "', and how that splits text is not known to Strata for vocab.json + merges.txt (GPT2 and Qwen2 ",
                         "are); a tokenizer.json says it itself"));
  }
}

void read_merges_file(const fs::path& path, ByteBpeParts& parts) {
  const std::string content = read_text(path), vocabulary_file = parts.source;
  parts.source = path.string();
  MergeReader reader(parts);
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t stop = std::min(content.find('\n', at), content.size());
    std::string line = content.substr(at, stop - at);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!line.empty() && line.rfind("#version", 0) != 0) reader.add_line(line);
    at = stop + 1;
  }
  if (parts.merges.empty()) throw DataError(text(path.string(), ": holds no merges"));
  parts.source = vocabulary_file;
}

/// added_tokens_decoder of tokenizer_config.json says everything; the older added_tokens.json only names and ids.
void read_added_tokens(const json& tokenizer_config, const fs::path& beside, ByteBpeParts& parts) {
  const json& described = member_or_null(tokenizer_config, "added_tokens_decoder");
  if (described.is_object() && !described.empty()) {
    for (const auto& [id, object] : described.items()) {
      if (id.empty() || id.size() > 9 || id.find_first_not_of("0123456789") != std::string::npos)
        throw DataError(
            text((beside / "tokenizer_config.json").string(), ": added_tokens_decoder is expected to have ids as keys, found '", id, "'"));
      parts.added.push_back(read_added_token(object, std::stoll(id), parts));
    }
    return;
  }
  const json named = read_json_object_if_there(beside / "added_tokens.json");
  for (const auto& [content, id] : named.items()) {
    if (!id.is_number_integer())
      throw DataError(
          text((beside / "added_tokens.json").string(), ": the id of '", content, "' is expected to be a number, found ", shown(id)));
    parts.added.push_back(
        read_added_token({{"content", content}, {"special", true}, {"normalized", false}}, id.get<std::int64_t>(), parts));
  }
}

std::optional<TokenId> id_of(const ByteBpeParts& parts, const std::string& token) {
  for (const AddedToken& added : parts.added)
    if (added.content == token) return added.id;
  for (const auto& [id, spelling] : parts.vocabulary)
    if (spelling == token) return id;
  return std::nullopt;
}

/// A token of tokenizer_config.json: a text, or an object with the text as its content.
std::optional<TokenId> named_token(const json& value, const char* name, const fs::path& file, const ByteBpeParts& parts) {
  const json& token = value.is_object() ? member_or_null(value, "content") : value;
  if (value.is_null()) return std::nullopt;
  if (!token.is_string()) throw DataError(text(file.string(), ": ", name, " is expected to be a token, found ", shown(value)));
  const auto id = id_of(parts, token.get<std::string>());
  if (!id) throw DataError(text(file.string(), ": ", name, " is '", token.get<std::string>(), "', which is no token of ", parts.source));
  return id;
}

/// An id of config.json or generation_config.json: a number, or a list of which the first counts.
std::optional<TokenId> numbered_token(const json& config, const std::string& name, const fs::path& file) {
  const json& value = member_or_null(config, name.c_str());
  const json& id = value.is_array() && !value.empty() ? value[0] : value;
  if (id.is_null() || id == json(-1)) return std::nullopt;
  if (!id.is_number_integer() || id.get<std::int64_t>() < 0 || id.get<std::int64_t>() > largest_id)
    throw DataError(text(file.string(), ": ", name, " is expected to be a token's id, found ", shown(value)));
  return id.get<TokenId>();
}

}  // namespace

ByteBpeParts read_vocab_and_merges(const fs::path& vocab, const fs::path& merges, const fs::path& beside) {
  ByteBpeParts parts;
  parts.source = vocab.string();
  read_vocabulary(parse_json(read_text(vocab), vocab.string()), parts);
  read_merges_file(merges, parts);
  const json tokenizer_config = read_json_object_if_there(beside / "tokenizer_config.json");
  choose_rule(tokenizer_config, read_json_object_if_there(beside / "config.json"), beside, parts);
  if (member_or_null(tokenizer_config, "add_prefix_space") == json(true))
    throw DataError(text((beside / "tokenizer_config.json").string(), ": add_prefix_space = true is not known to Strata"));
  read_added_tokens(tokenizer_config, beside, parts);
  if (parts.rule == SplitRule::gpt2 && parts.added.empty())
    if (const auto end = id_of(parts, gpt2_end)) {
      parts.added.push_back({gpt2_end, *end, true, false});
      parts.eos = parts.bos = end;  // GPT2Tokenizer's own defaults; files beside may say otherwise
    }
  return parts;
}

void read_end_and_begin(const fs::path& folder, ByteBpeParts& parts) {
  const fs::path file = folder / "tokenizer_config.json", generation_file = folder / "generation_config.json",
                 model_file = folder / "config.json";
  const json config = read_json_object_if_there(file), generation = read_json_object_if_there(generation_file);
  const json model = read_json_object_if_there(model_file);
  const auto find = [&](const char* token, const char* id, std::optional<TokenId> otherwise) {
    if (config.contains(token)) return named_token(config[token], token, file, parts);
    if (const auto found = numbered_token(generation, id, generation_file)) return found;
    if (const auto found = numbered_token(model, id, model_file)) return found;
    return otherwise;
  };
  parts.eos = find("eos_token", "eos_token_id", parts.eos);
  parts.bos = find("bos_token", "bos_token_id", parts.bos);
}

}  // namespace strata
