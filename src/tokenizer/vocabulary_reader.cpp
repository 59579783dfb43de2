// Vocabulary, merges and added tokens, checked against each other.
#include "tokenizer/vocabulary_reader.hpp"

#include "strata/base/error.hpp"
#include "tokenizer/json_text.hpp"

namespace strata {
using nlohmann::json;
namespace {

TokenId checked_id(const json& value, const std::string& token, const std::string& source) {
  if (!value.is_number_integer() || value.get<std::int64_t>() < 0 || value.get<std::int64_t>() > largest_id)
    throw DataError(
        text(source, ": the id of token '", token, "' is expected to be a whole number from 0 to ", largest_id, ", found ", shown(value)));
  return value.get<TokenId>();
}

}  // namespace

void read_vocabulary(const json& object, TokenizerParts& parts) {
  if (!object.is_object() || object.empty())
    throw DataError(text(parts.source, ": the vocabulary is expected to be a JSON object of tokens and their ids, found ",
                         object.type_name(), object.is_object() ? " without members" : ""));
  for (const auto& [token, value] : object.items()) {
    const TokenId id = checked_id(value, token, parts.source);
    const auto [at, fresh] = parts.vocabulary.emplace(id, token);
    if (!fresh) throw DataError(text(parts.source, ": id ", id, " is given to two tokens, '", at->second, "' and '", token, "'"));
  }
}

MergeReader::MergeReader(ByteBpeParts& parts) : parts_(parts) {
  ids_.reserve(parts.vocabulary.size());
  for (const auto& [id, spelling] : parts.vocabulary) ids_.emplace(spelling, id);
}

TokenId MergeReader::known(const std::string& spelling, const std::string& left, const std::string& right) const {
  const auto found = ids_.find(spelling);
  if (found == ids_.end())
    throw DataError(text(parts_.source, ": merge ", parts_.merges.size() + 1, ", '", left, " ", right, "', needs the token '", spelling,
                         "', which is not in the vocabulary: do vocabulary and merges belong together?"));
  return found->second;
}

void MergeReader::add(const std::string& left, const std::string& right) {
  parts_.merges.push_back({known(left, left, right), known(right, left, right), known(left + right, left, right)});
}

void MergeReader::add_line(const std::string& line) {
  const std::size_t blank = line.find(' ');
  if (blank == std::string::npos || line.find(' ', blank + 1) != std::string::npos)
    throw DataError(text(parts_.source, ": merge ", parts_.merges.size() + 1,
                         " is expected to be two tokens with one blank between them, found '", line.substr(0, 100), "'"));
  add(line.substr(0, blank), line.substr(blank + 1));
}

AddedToken read_added_token(const json& object, std::int64_t id, const TokenizerParts& parts) {
  const json& content = member_or_null(object, "content");
  if (!content.is_string() || content.get_ref<const std::string&>().empty())
    throw DataError(text(parts.source, ": an added token is expected to have a text as its content, found ", shown(object)));
  AddedToken token;
  token.content = content.get<std::string>();
  token.id = checked_id(json(id), token.content, parts.source);
  const auto flag = [&](const char* name, bool otherwise) {
    const json& value = member_or_null(object, name);
    if (!value.is_null() && !value.is_boolean())
      throw DataError(text(parts.source, ": ", name, " of the added token '", token.content, "' is expected to be true or false, found ",
                           shown(value)));
    return value.is_null() ? otherwise : value.get<bool>();
  };
  token.special = flag("special", false);
  token.normalized = flag("normalized", !token.special);
  for (const char* unknown : {"lstrip", "rstrip", "single_word"})
    if (flag(unknown, false))
      throw DataError(text(parts.source, ": the added token '", token.content, "' has ", unknown, " = true, which Strata does not know"));
  return token;
}

void read_added_list(const json& list, TokenizerParts& parts) {
  if (!list.is_array() && !list.is_null())
    throw DataError(text(parts.source, ": added_tokens is expected to be a list, found ", list.type_name()));
  for (const json& object : list) {
    const json& id = member_or_null(object, "id");
    if (!id.is_number_integer())
      throw DataError(text(parts.source, ": an added token is expected to have a number as its id, found ", shown(object)));
    parts.added.push_back(read_added_token(object, id.get<std::int64_t>(), parts));
  }
}

}  // namespace strata
