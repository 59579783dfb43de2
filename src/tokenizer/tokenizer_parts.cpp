// Reads the configuration files that lie beside a vocabulary: added tokens, begin and end of text.
#include "tokenizer/tokenizer_parts.hpp"

#include <nlohmann/json.hpp>

#include "strata/base/error.hpp"
#include "tokenizer/json_text.hpp"
#include "tokenizer/vocabulary_reader.hpp"

namespace strata {
using nlohmann::json;
namespace fs = std::filesystem;
namespace {

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

std::optional<TokenId> id_of(const TokenizerParts& parts, const std::string& token) {
  for (const AddedToken& added : parts.added)
    if (added.content == token) return added.id;
  for (const auto& [id, spelling] : parts.vocabulary)
    if (spelling == token) return id;
  return std::nullopt;
}

std::optional<TokenId> named_token(const json& value, const char* name, const fs::path& file, const TokenizerParts& parts) {
  const json& token = value.is_object() ? member_or_null(value, "content") : value;
  if (value.is_null()) return std::nullopt;
  if (!token.is_string()) throw DataError(text(file.string(), ": ", name, " is expected to be a token, found ", shown(value)));
  const auto id = id_of(parts, token.get<std::string>());
  if (!id) throw DataError(text(file.string(), ": ", name, " is '", token.get<std::string>(), "', which is no token of ", parts.source));
  return id;
}

// added_tokens_decoder says everything; the older added_tokens.json only names and ids.
void read_added_tokens(const json& tokenizer_config, const fs::path& beside, TokenizerParts& parts) {
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

void read_end_and_begin(const fs::path& folder, TokenizerParts& parts) {
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
