#pragma once
// Reduction tree: the order in which the leaves of a step are added, as arithmetic on their numbers (design.md, "Canonical reduction").
#include <cstdint>
#include <vector>

#include "strata/base/function_ref.hpp"

namespace strata {

/// A subtree of the reduction tree over N blocks: blocks [index 2^level, (index + 1) 2^level), cut at N.
struct TreeNode {
  int level = 0;
  std::int64_t index = 0;
  bool operator==(const TreeNode&) const = default;
};

/// Blocks of `leaves` leaves; the last one may be shorter.
std::int64_t blocks_of(std::int64_t leaves, std::int64_t block);
/// First of `blocks` blocks that rank `rank` of `ranks` takes: contiguous runs, equal to within one block.
std::int64_t first_block(std::int64_t blocks, int rank, int ranks);
/// First leaf of `rank`; of the rank after it, the end of its run.
std::int64_t first_leaf(std::int64_t leaves, std::int64_t block, int rank, int ranks);
/// The maximal aligned subtrees of the blocks [first, last), in order.
std::vector<TreeNode> aligned_subtrees(std::int64_t first, std::int64_t last);
/// Their number, without making them.
std::size_t subtree_count(std::int64_t first, std::int64_t last);
/// Whether the blocks [first, last) of `blocks` in all are one subtree, which the end of the blocks may cut. Not where there are none.
bool is_subtree(std::int64_t first, std::int64_t last, std::int64_t blocks);
/// Buffers a rank needs at once while it folds the blocks [first, last) with a binary counter, the leaf being computed included.
int counter_buffers(std::int64_t first, std::int64_t last, std::int64_t block);
/// The same for units that add: a leaf has a buffer of its own only where LeafCounter::target() names none.
int adding_buffers(std::int64_t first, std::int64_t last, std::int64_t block);

/// A binary counter over leaves that arrive in order, as bookkeeping: it says which buffer is to be added into which. Buffers are numbers
/// of the caller's.
class LeafCounter {
 public:
  struct Entry {
    TreeNode node;
    int buffer;
  };
  /// Adds buffer `from` into buffer `into`.
  using Add = FunctionRef<void(int into, int from)>;

  /// For a step of `leaves` leaves, of which those from `first` on arrive here.
  LeafCounter(std::int64_t leaves, std::int64_t block, std::int64_t first) : leaves_(leaves), block_(block), next_(first) {}
  LeafCounter() : LeafCounter(0, 1, 0) {}
  std::int64_t next() const { return next_; }
  /// The buffer to which leaf next() is added first, so that it may be added there as it is made; -1: it stays by itself for now.
  int target() const;
  /// Leaf next() is in `buffer`.
  void push(int buffer, Add add);
  /// The sum of the next `leaves` leaves, whole blocks that are a subtree (see is_subtree), is in `buffer`.
  void push_subtree(int buffer, std::int64_t leaves, Add add);
  /// Adds up what is left, from the smallest entry: a + (b + c). One entry remains, or none.
  void fold(Add add);
  /// Finished subtrees, in order.
  const std::vector<Entry>& entries() const { return entries_; }
  bool uses(int buffer) const;
  /// The smallest number from 0 on that is not used.
  int free_buffer() const;
  /// What was in buffer `from` is in `to` now.
  void rename(int from, int to);
  /// Buffers used by the leaves of an unfinished block and by entries.
  std::vector<int> used() const;

 private:
  void close_up(Add add);
  std::int64_t leaves_, block_, next_;
  int open_ = -1;  // buffer of the block that is not whole yet
  std::vector<Entry> entries_;
};

}  // namespace strata
