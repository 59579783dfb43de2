#include "strata/parallel/reduction.hpp"

#include <algorithm>

#include "strata/ops/elementwise.hpp"

namespace strata {
namespace {

std::int64_t blocks_of(std::int64_t leaves, std::int64_t block) {
  return (leaves + block - 1) / block;
}
std::int64_t first_block(std::int64_t blocks, int rank, int ranks) {
  return blocks * rank / ranks;
}

// Pieces every rank brings to a reduction over `blocks` blocks, rank by rank.
std::vector<std::vector<TreeNode>> pieces_by_rank(std::int64_t blocks, int ranks) {
  std::vector<std::vector<TreeNode>> all;
  for (int r = 0; r < ranks; ++r) all.push_back(aligned_subtrees(first_block(blocks, r, ranks), first_block(blocks, r + 1, ranks)));
  return all;
}

constexpr std::int64_t largest_chunk = std::int64_t{1} << 20;

}  // namespace

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

namespace {
// aligned_subtrees(first, last).size() without making them.
std::size_t subtree_count(std::int64_t first, std::int64_t last) {
  std::size_t count = 0;
  for (; first < last; ++count) {
    std::int64_t size = 1;
    while (first % (2 * size) == 0 && first + 2 * size <= last) size *= 2;
    first += size;
  }
  return count;
}
}  // namespace

int counter_buffers(std::int64_t first, std::int64_t last, std::int64_t block) {
  std::size_t most = 1;
  for (std::int64_t b = first; b < last; ++b) most = std::max(most, subtree_count(first, b) + (block > 1 ? 2 : 1));
  return static_cast<int>(most);
}

GradientReduction::GradientReduction(Arena& arena, const ParameterSet& set, DType type, const Communicator& comm, std::int64_t most_leaves,
                                     std::int64_t block, bool fast)
    : set_(set), type_(type), rank_(comm.rank()), ranks_(comm.size()), block_(block), fast_(fast) {
  // Every number of leaves up to the largest may occur (the last step of an epoch is shorter), and every rank allocates alike.
  int buffers = 1;
  std::size_t pieces = 1;
  for (std::int64_t blocks = 1; blocks <= blocks_of(most_leaves, block); ++blocks) {
    for (int r = 0; r < ranks_; ++r)
      buffers = std::max(buffers, counter_buffers(first_block(blocks, r, ranks_), first_block(blocks, r + 1, ranks_), block));
    std::size_t of_all = 0;
    for (int r = 0; r < ranks_; ++r) of_all += subtree_count(first_block(blocks, r, ranks_), first_block(blocks, r + 1, ranks_));
    pieces = std::max(pieces, of_all);
  }
  if (fast) buffers = 2;
  for (int b = 0; b < buffers; ++b) buffers_.push_back(FlatBuffer::take(arena, text("gradients.", b), type, set));
  if (ranks_ == 1 || fast) return;
  const std::int64_t align = ParameterSet::unit_alignment;
  const std::int64_t stretch = (set.padded_elements() / align + ranks_ - 1) / ranks_ * align;
  chunk_ = std::min(largest_chunk, stretch);
  exchange_ = take(arena, "workspace.exchange", type, Shape{static_cast<std::int64_t>(pieces), chunk_});
}

void GradientReduction::begin(std::int64_t leaves) {
  leaves_ = leaves;
  blocks_ = blocks_of(leaves, block_);
  first_ = next_ = first_leaf(leaves, block_, rank_, ranks_);
  last_ = first_leaf(leaves, block_, rank_ + 1, ranks_);
  pieces_.clear();
  block_buffer_ = -1;
}

std::size_t GradientReduction::free_buffer() const {
  for (std::size_t b = 0; b < buffers_.size(); ++b) {
    const bool taken = std::any_of(pieces_.begin(), pieces_.end(), [&](const Piece& p) { return p.buffer == b; });
    if (!taken && static_cast<std::int64_t>(b) != block_buffer_) return b;
  }
  throw InternalError("the gradient counter has no free buffer");
}

const FlatBuffer& GradientReduction::leaf() {
  leaf_buffer_ = free_buffer();
  return buffers_[leaf_buffer_];
}

void GradientReduction::leaf_done(Stream& stream) {
  STRATA_ASSERT(next_ < last_, "leaf ", next_, " of ", last_);
  if (fast_) {  // one running sum
    if (pieces_.empty())
      pieces_.push_back({TreeNode{0, 0}, leaf_buffer_});
    else
      add_into(stream, buffers_[pieces_[0].buffer].flat(), buffers_[leaf_buffer_].flat());
    ++next_;
    return;
  }
  if (block_buffer_ < 0)
    block_buffer_ = static_cast<std::int64_t>(leaf_buffer_);
  else
    add_into(stream, buffers_[static_cast<std::size_t>(block_buffer_)].flat(), buffers_[leaf_buffer_].flat());
  ++next_;
  if (next_ % block_ != 0 && next_ != leaves_) return;
  const auto done = static_cast<std::size_t>(block_buffer_);
  block_buffer_ = -1;
  push_block(stream, done);
}

// The binary counter: equal neighbours are added as soon as both are there, the left one first.
void GradientReduction::push_block(Stream& stream, std::size_t buffer) {
  pieces_.push_back({TreeNode{0, (next_ - 1) / block_}, buffer});
  while (pieces_.size() >= 2) {
    Piece& left = pieces_[pieces_.size() - 2];
    const Piece& right = pieces_.back();
    if (left.node.level != right.node.level || left.node.index % 2 != 0) return;
    add_into(stream, buffers_[left.buffer].flat(), buffers_[right.buffer].flat());
    left.node = {left.node.level + 1, left.node.index / 2};
    pieces_.pop_back();
  }
}

const FlatBuffer& GradientReduction::finish(Stream& stream, Communicator& comm) {
  STRATA_ASSERT(next_ == last_, "leaf ", next_, " of ", last_, " is missing");
  if (fast_) {
    if (pieces_.empty()) fill(stream, leaf().flat(), 0.0), pieces_.push_back({TreeNode{0, 0}, leaf_buffer_});
    const View sum = buffers_[pieces_[0].buffer].flat();
    if (stream.planning() || ranks_ == 1) return buffers_[pieces_[0].buffer];
    if (type_ == DType::f32)
      comm.all_reduce_sum_fast(sum.as<float>(), static_cast<std::size_t>(sum.elements()));
    else
      comm.all_reduce_sum_fast(sum.as<double>(), static_cast<std::size_t>(sum.elements()));
    return buffers_[pieces_[0].buffer];
  }
  if (ranks_ == 1) {
    fold_local(stream);
    return buffers_[pieces_[0].buffer];
  }
  if (!stream.planning()) exchange_and_fold(stream, comm);
  return buffers_[pieces_.empty() ? 0 : pieces_[0].buffer];
}

// What the counter still holds, emptied from its smallest entry: a + (b + c).
void GradientReduction::fold_local(Stream& stream) {
  while (pieces_.size() > 1) {
    add_into(stream, buffers_[pieces_[pieces_.size() - 2].buffer].flat(), buffers_[pieces_.back().buffer].flat());
    pieces_.pop_back();
  }
}

// Sum of a subtree of one chunk; pieces that travelled are taken as they are.
View GradientReduction::fold_slices(Stream& stream, const std::vector<TreeNode>& nodes, const std::vector<View>& slices,
                                    TreeNode node) const {
  const auto found = std::find(nodes.begin(), nodes.end(), node);
  if (found != nodes.end()) return slices[static_cast<std::size_t>(found - nodes.begin())];
  STRATA_ASSERT(node.level > 0, "block ", node.index, " of the reduction is missing");
  const TreeNode left{node.level - 1, node.index * 2}, right{node.level - 1, node.index * 2 + 1};
  const View sum = fold_slices(stream, nodes, slices, left);
  if (right.index << right.level < blocks_) add_into(stream, sum, fold_slices(stream, nodes, slices, right));
  return sum;
}

void GradientReduction::exchange_and_fold(Stream& stream, Communicator& comm) {
  const auto by_rank = pieces_by_rank(blocks_, ranks_);
  std::vector<TreeNode> nodes;
  for (const auto& of_rank : by_rank) nodes.insert(nodes.end(), of_rank.begin(), of_rank.end());
  int top = 0;
  while (std::int64_t{1} << top < blocks_) ++top;

  const std::int64_t align = ParameterSet::unit_alignment, total = set_.padded_elements(),
                     element = static_cast<std::int64_t>(size_of(type_));
  const auto begin_of = [&](int r) { return total / align * r / ranks_ * align; };
  const View result = buffers_[pieces_.empty() ? 0 : pieces_[0].buffer].flat();
  std::int64_t longest = 0;
  for (int r = 0; r < ranks_; ++r) longest = std::max(longest, begin_of(r + 1) - begin_of(r));

  for (std::int64_t at = 0; at < longest; at += chunk_) {
    const auto stretch = [&](int r) { return std::clamp<std::int64_t>(begin_of(r + 1) - begin_of(r) - at, 0, chunk_); };
    const std::int64_t mine = stretch(rank_);
    std::vector<Message> sends, receives;
    for (int owner = 0; owner < ranks_; ++owner)
      for (const Piece& piece : pieces_) {
        const View slice =
            buffers_[piece.buffer].flat().rows(begin_of(owner) + std::min(at, begin_of(owner + 1) - begin_of(owner)), stretch(owner));
        sends.push_back({owner, slice.data(), static_cast<std::size_t>(stretch(owner) * element)});
      }
    std::vector<View> slices;
    for (int from = 0; from < ranks_; ++from)
      for (std::size_t p = 0; p < by_rank[static_cast<std::size_t>(from)].size(); ++p) {
        slices.push_back(exchange_.rows(static_cast<std::int64_t>(slices.size()), 1).reshaped(Shape{chunk_}).rows(0, mine));
        receives.push_back({from, slices.back().data(), static_cast<std::size_t>(mine * element)});
      }
    comm.exchange(sends, receives);
    const View sum = mine ? fold_slices(stream, nodes, slices, TreeNode{top, 0}) : View();

    sends.clear(), receives.clear();
    for (int other = 0; other < ranks_; ++other) {
      if (mine) sends.push_back({other, sum.data(), static_cast<std::size_t>(mine * element)});
      if (!stretch(other)) continue;
      receives.push_back(
          {other, result.rows(begin_of(other) + at, stretch(other)).data(), static_cast<std::size_t>(stretch(other) * element)});
    }
    comm.exchange(sends, receives);
  }
}

}  // namespace strata
