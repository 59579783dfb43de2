#pragma once
// What the files of every tokenizer with an open vocabulary have in common: spellings, added tokens, begin and end.
#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "strata/tokenizer/tokenizer.hpp"

namespace strata {

/// Largest id Strata accepts, so that a damaged file cannot ask for all memory.
constexpr TokenId largest_id = (1u << 24) - 1;

/// A token that is found in the text before everything else, and verbatim.
struct AddedToken {
  std::string content;
  TokenId id = 0;
  bool special = false;
  bool normalized = false;  // found in the normalised text instead
};

struct TokenizerParts {
  std::string source;                         // named in messages
  std::map<TokenId, std::string> vocabulary;  // id -> spelling
  std::vector<AddedToken> added;
  std::optional<TokenId> eos, bos;
};

/// The id of an added token or of one of the vocabulary.
std::optional<TokenId> id_of(const TokenizerParts& parts, const std::string& token);

/// A token that a configuration file names: a text, or an object with the text as its content; none for null. DataError if it is no token.
std::optional<TokenId> named_token(const nlohmann::json& value, const char* name, const std::filesystem::path& file,
                                   const TokenizerParts& parts);

/// Reads added_tokens_decoder of tokenizer_config.json, or else added_tokens.json in `beside`.
void read_added_tokens(const nlohmann::json& tokenizer_config, const std::filesystem::path& beside, TokenizerParts& parts);

/// Sets eos and bos from the configuration files in `folder`: tokenizer_config.json, else generation_config.json, else config.json.
void read_end_and_begin(const std::filesystem::path& folder, TokenizerParts& parts);

}  // namespace strata
