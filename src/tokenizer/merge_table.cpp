// Fills the hash table of merges: open addressing, at most half full.
#include "tokenizer/merge_table.hpp"

#include "strata/base/error.hpp"

namespace strata {

MergeTable::MergeTable(const std::vector<Merge>& merges) {
  STRATA_ASSERT(merges.size() < no_rank, merges.size(), " merges");
  while (entries_.size() < 2 * merges.size() + 2) entries_.resize(2 * entries_.size()), --shift_;
  mask_ = entries_.size() - 1;
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::uint64_t pair = key(merges[rank].left, merges[rank].right);
    std::size_t at = slot(pair);
    while (entries_[at].rank != no_rank && entries_[at].pair != pair) at = (at + 1) & mask_;
    entries_[at] = {pair, static_cast<std::uint32_t>(rank), merges[rank].whole};
  }
}

}  // namespace strata
