#include "tokenizer/spellings.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata {

Spellings::Spellings(const TokenizerParts& parts) {
  TokenId last = parts.vocabulary.empty() ? 0 : parts.vocabulary.rbegin()->first;
  for (const AddedToken& token : parts.added) last = std::max(last, token.id);
  texts_.resize(last + std::size_t{1});
  special_.resize(texts_.size());
  for (const auto& [id, spelling] : parts.vocabulary) texts_[id] = spelling;
  for (const AddedToken& token : parts.added) {
    std::string& known = texts_[token.id];
    if (!known.empty() && known != token.content)
      throw DataError(text(parts.source, ": the added token '", token.content, "' has id ", token.id, ", which '", known, "' has already"));
    known = token.content;
    special_[token.id] = token.special;
  }
}

AddedTokenFinders::AddedTokenFinders(const TokenizerParts& parts, const std::function<std::string(const AddedToken&)>& normalise) {
  for (const AddedToken& token : parts.added)
    token.normalized ? normalized.add(normalise(token), token.id) : verbatim.add(token.content, token.id);
}

}  // namespace strata
