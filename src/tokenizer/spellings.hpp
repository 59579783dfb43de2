#pragma once
// The texts of tokens by id, those of the vocabulary and the added ones.
#include <functional>
#include <string>
#include <vector>

#include "tokenizer/token_finder.hpp"
#include "tokenizer/tokenizer_parts.hpp"

namespace strata {

/// Tables indexed by id. An id that no token has gives an empty text.
class Spellings {
 public:
  /// DataError where an added token and the vocabulary disagree about an id.
  explicit Spellings(const TokenizerParts& parts);
  std::size_t size() const { return texts_.size(); }
  const std::vector<std::string>& texts() const { return texts_; }
  std::string of(TokenId id) const { return id < texts_.size() ? texts_[id] : std::string(); }
  bool is_special(TokenId id) const { return id < special_.size() && special_[id]; }

 private:
  std::vector<std::string> texts_;
  std::vector<bool> special_;
};

/// Added tokens, searched before and after normalisation.
struct AddedTokenFinders {
  /// `normalise` gives the text that a token found in the normalised text has there.
  AddedTokenFinders(const TokenizerParts& parts, const std::function<std::string(const AddedToken&)>& normalise);
  TokenFinder verbatim, normalized;
};

}  // namespace strata
