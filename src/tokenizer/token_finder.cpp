// Added tokens are few and mostly begin alike, so a look at the first byte settles nearly every place.
#include "tokenizer/token_finder.hpp"

#include <algorithm>

namespace strata {

void TokenFinder::add(const std::string& content, TokenId id) {
  if (content.empty()) return;
  auto& same = by_first_byte_[static_cast<unsigned char>(content[0])];
  if (same.empty()) first_bytes_.push_back(content[0]);
  contents_.emplace_back(content, id);
  const auto shorter = [&](std::size_t i) { return contents_[i].first.size() < content.size(); };
  same.insert(std::find_if(same.begin(), same.end(), shorter), contents_.size() - 1);
}

std::size_t TokenFinder::next_candidate(std::string_view text, std::size_t from) const {
  if (first_bytes_.size() == 1) return std::min(text.find(first_bytes_[0], from), text.size());
  while (from < text.size() && by_first_byte_[static_cast<unsigned char>(text[from])].empty()) ++from;
  return from;
}

std::optional<TokenFinder::Match> TokenFinder::find(std::string_view text, std::size_t from) const {
  if (contents_.empty()) return std::nullopt;
  for (std::size_t at = next_candidate(text, from); at < text.size(); at = next_candidate(text, at + 1))
    for (const std::size_t i : by_first_byte_[static_cast<unsigned char>(text[at])])
      if (text.compare(at, contents_[i].first.size(), contents_[i].first) == 0)
        return Match{at, at + contents_[i].first.size(), contents_[i].second};
  return std::nullopt;
}

}  // namespace strata
