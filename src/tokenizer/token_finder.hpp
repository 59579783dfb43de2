#pragma once
// Finds added tokens verbatim in a text.
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strata/tokenizer/tokenizer.hpp"

namespace strata {

/// Leftmost match, the longest of those that begin at the same place: the rule of Hugging Face tokenizers.
class TokenFinder {
 public:
  struct Match {
    std::size_t begin, end;
    TokenId id;
  };
  /// Empty contents are never found. Of equal contents the first counts.
  void add(const std::string& content, TokenId id);
  bool empty() const { return contents_.empty(); }
  std::optional<Match> find(std::string_view text, std::size_t from) const;

 private:
  std::size_t next_candidate(std::string_view text, std::size_t from) const;

  std::vector<std::pair<std::string, TokenId>> contents_;
  std::array<std::vector<std::size_t>, 256> by_first_byte_;  // indices into contents_, longest first
  std::string first_bytes_;
};

}  // namespace strata
