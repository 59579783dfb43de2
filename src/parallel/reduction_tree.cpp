#include "strata/parallel/reduction_tree.hpp"

#include <algorithm>
#include <bit>

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

bool is_subtree(std::int64_t first, std::int64_t last, std::int64_t blocks) {
  if (first >= last) return false;
  const auto size = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(last - first)));
  return first % size == 0 && (last - first == size || last == blocks);
}

std::size_t subtree_count(std::int64_t first, std::int64_t last) {
  if (first >= last) return 0;
  // Up to the multiple of the largest power of two between the two, pieces grow; from there on they shrink: one for each bit.
  const auto a = static_cast<std::uint64_t>(first), b = static_cast<std::uint64_t>(last);
  const std::uint64_t size = std::bit_floor(a ^ b);
  return static_cast<std::size_t>(std::popcount(size - (a & (size - 1))) + std::popcount(b & (size - 1)));
}

namespace {

// The most bits that a number up to `last` has.
int most_bits(std::uint64_t last) {
  int most = std::popcount(last);
  for (std::uint64_t rest = last; rest; rest &= rest - 1) {
    // This bit cleared, all below it set.
    const int bit = std::countr_zero(rest);
    most = std::max(most, std::popcount(last >> (bit + 1)) + bit);
  }
  return most;
}

// The most of subtree_count(first, b) for b in [first, last).
int most_subtrees(std::int64_t first, std::int64_t last) {
  const auto a = static_cast<std::uint64_t>(first), end = static_cast<std::uint64_t>(last);
  int most = 0;
  for (int k = 0; k < 62; ++k) {
    const std::uint64_t size = std::uint64_t{1} << k, middle = ((a >> k) | 1) << k;
    if (middle >= end) break;
    if (a & size) continue;
    const std::uint64_t beyond = std::min(end - 1 - middle, size - 1);
    most = std::max(most, std::popcount(size - (a & (size - 1))) + most_bits(beyond));
  }
  return most;
}

}  // namespace

int counter_buffers(std::int64_t first, std::int64_t last, std::int64_t block) {
  return first < last ? most_subtrees(first, last) + (block > 1 ? 2 : 1) : 1;
}

int adding_buffers(std::int64_t first, std::int64_t last, std::int64_t block) {
  if (first >= last) return 1;
  // A leaf inside a block is added to the block.
  if (block > 1) return most_subtrees(first, last) + 1;
  // An odd leaf is added to the one before it; the even ones are the leaves of a tree half as large.
  const std::int64_t half = (first + 1) / 2, end = (last + 1) / 2;
  return std::max(0, half < end ? most_subtrees(half, end) + static_cast<int>(first % 2) : 0) + 1;
}

int LeafCounter::target() const {
  int target = -1;
  LeafCounter after = *this;
  constexpr int leaf = -2;
  after.push(leaf, [&](int into, int from) {
    if (from == leaf) target = into;
  });
  return target;
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
  close_up(add);
}

void LeafCounter::push_subtree(int buffer, std::int64_t leaves, Add add) {
  const std::int64_t first = next_ / block_, last = blocks_of(next_ + leaves, block_);
  STRATA_ASSERT(next_ % block_ == 0 && next_ + leaves <= leaves_ && is_subtree(first, last, blocks_of(leaves_, block_)), "leaves ", next_,
                " to ", next_ + leaves, " of ", leaves_, " are no subtree");
  int level = 0;
  while (std::int64_t{1} << level < last - first) ++level;
  entries_.push_back({TreeNode{level, first >> level}, buffer});
  next_ += leaves;
  close_up(add);
}

// Equal neighbours are added as soon as both are there, the left one first.
void LeafCounter::close_up(Add add) {
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
