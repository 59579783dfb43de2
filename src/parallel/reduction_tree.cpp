#include "strata/parallel/reduction_tree.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata {

std::int64_t blocks_of(std::int64_t leaves, std::int64_t block) {
  return (leaves + block - 1) / block;
}

std::int64_t first_block(std::int64_t blocks, int rank, int ranks) {
  return blocks * rank / ranks;
}

std::int64_t first_leaf(std::int64_t leaves, std::int64_t block, int rank, int ranks) {
  return std::min(leaves, first_block(blocks_of(leaves, block), rank, ranks) * block);
}

std::vector<TreeNode> aligned_subtrees(std::int64_t first, std::int64_t last) {
  std::vector<TreeNode> nodes;
  while (first < last) {
    int level = 0;
    while (first % (std::int64_t{2} << level) == 0 && first + (std::int64_t{2} << level) <= last) ++level;
    nodes.push_back({level, first >> level});
    first += std::int64_t{1} << level;
  }
  return nodes;
}

std::size_t subtree_count(std::int64_t first, std::int64_t last) {
  std::size_t count = 0;
  for (; first < last; ++count) {
    std::int64_t size = 1;
    while (first % (2 * size) == 0 && first + 2 * size <= last) size *= 2;
    first += size;
  }
  return count;
}

int counter_buffers(std::int64_t first, std::int64_t last, std::int64_t block) {
  std::size_t most = 1;
  for (std::int64_t b = first; b < last; ++b) most = std::max(most, subtree_count(first, b) + (block > 1 ? 2 : 1));
  return static_cast<int>(most);
}

void LeafCounter::push(int buffer, Add add) {
  STRATA_ASSERT(next_ < leaves_, "leaf ", next_, " of ", leaves_);
  if (open_ < 0)
    open_ = buffer;
  else
    add(open_, buffer);
  ++next_;
  if (next_ % block_ != 0 && next_ != leaves_) return;
  entries_.push_back({TreeNode{0, (next_ - 1) / block_}, open_});
  open_ = -1;
  // Equal neighbours are added as soon as both are there, the left one first.
  while (entries_.size() >= 2) {
    Entry& left = entries_[entries_.size() - 2];
    const Entry& right = entries_.back();
    if (left.node.level != right.node.level || left.node.index % 2 != 0) return;
    add(left.buffer, right.buffer);
    left.node = {left.node.level + 1, left.node.index / 2};
    entries_.pop_back();
  }
}

void LeafCounter::fold(Add add) {
  for (; entries_.size() > 1; entries_.pop_back()) add(entries_[entries_.size() - 2].buffer, entries_.back().buffer);
}

std::vector<int> LeafCounter::used() const {
  std::vector<int> buffers;
  for (const Entry& entry : entries_) buffers.push_back(entry.buffer);
  if (open_ >= 0) buffers.push_back(open_);
  return buffers;
}

bool LeafCounter::uses(int buffer) const {
  const std::vector<int> buffers = used();
  return std::find(buffers.begin(), buffers.end(), buffer) != buffers.end();
}

int LeafCounter::free_buffer() const {
  int buffer = 0;
  while (uses(buffer)) ++buffer;
  return buffer;
}

void LeafCounter::rename(int from, int to) {
  for (Entry& entry : entries_)
    if (entry.buffer == from) entry.buffer = to;
  if (open_ == from) open_ = to;
}

}  // namespace strata
