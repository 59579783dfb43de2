#pragma once
// Canonical reduction: one fixed expression for a step's gradient, whoever computed which leaf (design.md, "Canonical reduction").
#include <cstdint>
#include <string>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/device/stream.hpp"
#include "strata/parallel/parameter_set.hpp"

namespace strata {

/// A subtree of the reduction tree over N blocks: blocks [index 2^level, (index + 1) 2^level), cut at N.
struct TreeNode {
  int level = 0;
  std::int64_t index = 0;
  bool operator==(const TreeNode&) const = default;
};

/// First leaf of `rank` and of the rank after it: contiguous runs of whole blocks, equal to within one block.
std::int64_t first_leaf(std::int64_t leaves, std::int64_t block, int rank, int ranks);
/// The maximal aligned subtrees of the blocks [first, last), in order.
std::vector<TreeNode> aligned_subtrees(std::int64_t first, std::int64_t last);
/// Buffers a rank needs at once while it folds the blocks [first, last) with a binary counter, the leaf being computed included.
int counter_buffers(std::int64_t first, std::int64_t last, std::int64_t block);

/// Sums the leaves' gradients of a step for strategies that reduce once a step (ddp, zero1): each rank folds its contiguous run of leaves,
/// the pieces are exchanged and folded up the same tree by the owner of each stretch, and the sum is handed to all. The bits do not depend
/// on the number of ranks.
class GradientReduction {
 public:
  /// Takes its buffers from the arena: "gradients.<k>" and "workspace.exchange". `type` is f32 or f64. `most_leaves` is the largest number
  /// of leaves of a step. fast: the library's own sum over ranks instead (bits then depend on the ranks).
  GradientReduction(Arena& arena, const ParameterSet& set, DType type, const Communicator& comm, std::int64_t most_leaves,
                    std::int64_t block, bool fast);

  /// Begins a step of `leaves` leaves; this rank computes those in [first(), last()).
  void begin(std::int64_t leaves);
  std::int64_t first() const { return first_; }
  std::int64_t last() const { return last_; }
  std::int64_t block() const { return block_; }
  /// Where the next leaf's gradient goes (every element is to be set).
  const FlatBuffer& leaf();
  /// The leaf's gradient is there: fold it. Local.
  void leaf_done(Stream& stream);
  /// Folds over ranks. The result is the same on every rank, valid until the next begin(). Collective over the communicator.
  const FlatBuffer& finish(Stream& stream, Communicator& comm);

 private:
  struct Piece {
    TreeNode node;
    std::size_t buffer;
  };
  std::size_t free_buffer() const;
  void push_block(Stream& stream, std::size_t buffer);
  void fold_local(Stream& stream);
  void exchange_and_fold(Stream& stream, Communicator& comm);
  View fold_slices(Stream& stream, const std::vector<TreeNode>& nodes, const std::vector<View>& slices, TreeNode node) const;

  const ParameterSet& set_;
  DType type_;
  int rank_, ranks_;
  std::int64_t block_;
  bool fast_;
  std::vector<FlatBuffer> buffers_;
  View exchange_;           // [pieces of all ranks, chunk]
  std::int64_t chunk_ = 0;  // [elements] of each owner's stretch exchanged at a time
  std::int64_t leaves_ = 0, blocks_ = 0, first_ = 0, last_ = 0, next_ = 0;
  std::size_t leaf_buffer_ = 0;     // being computed
  std::int64_t block_buffer_ = -1;  // holds the leaves of the current block so far
  std::vector<Piece> pieces_;
};

}  // namespace strata
