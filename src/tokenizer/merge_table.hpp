#pragma once
// The merges of a BPE model: pair of ids -> rank and id of what they make, one probe in most cases.
#include <cstdint>
#include <vector>

#include "strata/tokenizer/tokenizer.hpp"

namespace strata {

/// One merge: `left` and `right`, side by side, become `whole`.
struct Merge {
  TokenId left, right, whole;
};

class MergeTable {
 public:
  static constexpr std::uint32_t no_rank = 0xffffffffu;
  struct Entry {
    std::uint64_t pair = ~std::uint64_t{0};
    std::uint32_t rank = no_rank;  // position in the list of merges: the lowest is applied first
    TokenId whole = 0;
  };

  MergeTable() = default;
  /// Of a pair that is listed twice the last position counts, as in Hugging Face tokenizers.
  explicit MergeTable(const std::vector<Merge>& merges);

  /// The pair's entry; one with rank no_rank if the pair does not merge.
  const Entry& find(TokenId left, TokenId right) const {
    const std::uint64_t pair = key(left, right);
    std::size_t at = slot(pair);
    while (entries_[at].pair != pair && entries_[at].rank != no_rank) at = (at + 1) & mask_;
    return entries_[at];
  }

 private:
  static std::uint64_t key(TokenId left, TokenId right) { return std::uint64_t{left} << 32 | right; }
  std::size_t slot(std::uint64_t pair) const { return (pair * 0x9e3779b97f4a7c15u) >> shift_; }

  std::vector<Entry> entries_ = std::vector<Entry>(2);
  std::size_t mask_ = 1;
  int shift_ = 63;
};

}  // namespace strata
