#pragma once
// Byte-pair merging of one word: bytes to ids.
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "tokenizer/merge_table.hpp"

namespace strata {

class WordCache;

/// Starts from one id per byte and joins the adjacent pair of lowest rank, the leftmost of equals, until none is left.
class Bpe {
 public:
  /// `whole_words` (bytes -> id): words that are taken as they stand, without merging (ignore_merges of tokenizer.json); may be empty.
  Bpe(const std::array<TokenId, 256>& byte_ids, const std::vector<Merge>& merges, std::unordered_map<std::string, TokenId> whole_words);

  /// Appends the ids of a word, by way of the cache where the word is short. The word's length does not matter for the time per byte, up
  /// to a logarithm. Words of 2^31 bytes or more are a DataError. Thread-safe with a cache per thread.
  void append(std::string_view word, WordCache& cache, std::vector<TokenId>& out) const;

 private:
  void append_uncached(std::string_view word, std::vector<TokenId>& out) const;
  void append_short(std::string_view word, std::vector<TokenId>& out) const;
  void append_long(std::string_view word, std::vector<TokenId>& out) const;

  std::array<TokenId, 256> byte_ids_;
  MergeTable merges_;
  std::unordered_map<std::string, TokenId> whole_words_;
};

}  // namespace strata
