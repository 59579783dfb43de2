#pragma once
// The pieces that tokenizer.json and the older files have in common: vocabulary, merges, added tokens.
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/byte_bpe.hpp"

namespace strata {

/// JSON object token -> id into parts.vocabulary. DataError for ids that are no numbers, too large or given twice.
void read_vocabulary(const nlohmann::json& object, TokenizerParts& parts);

/// Turns pairs of spellings into merges, in order; keeps no copy of the spellings.
class MergeReader {
 public:
  explicit MergeReader(ByteBpeParts& parts);
  /// DataError if one of the pair, or what it makes, is not in the vocabulary.
  void add(const std::string& left, const std::string& right);
  /// "left right" in one text, as merges.txt has them.
  void add_line(const std::string& line);

 private:
  TokenId known(const std::string& spelling, const std::string& left, const std::string& right) const;

  ByteBpeParts& parts_;
  std::unordered_map<std::string_view, TokenId> ids_;
};

/// One added token from its JSON description (content, special, normalized, ...). DataError for lstrip, rstrip and single_word, which are
/// not known here, and for an id that the vocabulary contradicts.
AddedToken read_added_token(const nlohmann::json& object, std::int64_t id, const TokenizerParts& parts);

/// The list added_tokens of a tokenizer.json.
void read_added_list(const nlohmann::json& list, TokenizerParts& parts);

}  // namespace strata
