#pragma once
// Canonical reduction: one fixed expression for a step's gradient, whoever computed which leaf (design.md, "Canonical reduction").
#include <memory>
#include <vector>

#include "strata/base/function_ref.hpp"
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"
#include "strata/parallel/gradient_scatter.hpp"
#include "strata/parallel/reduction_tree.hpp"
#include "strata/parallel/replica_exchange.hpp"
#include "strata/parallel/strategy.hpp"

namespace strata {

struct ReductionSettings {
  std::int64_t most_leaves = 1;                 // of a step
  std::int64_t block = 1;                       // leaves added in order before the tree
  bool fast = false;                            // the library's own sum over ranks: bits then depend on the ranks
  std::int64_t bucket = std::int64_t{1} << 20;  // [elements] that travel as one message
  bool overlap = true;                          // messages travel while the next unit is computed; false: they are waited for at once
  int windows = 2;                              // units of a size whose gradients are computed or under way at once
};

/// Sums the leaves' gradients of a step; the bits do not depend on the number of ranks or the strategy. A group of ranks scatters each
/// leaf's gradient to the owners of its shards, who fold leaves in order (zero2, fsdp; a group of one keeps it whole: ddp, zero1). Groups
/// fold their own contiguous run of leaves; with a group's last leaf its pieces are exchanged between groups, unit by unit, and folded up
/// the same tree. Of several hosts each folds what its ranks bring before it leaves the host, where that is a subtree.
class GradientReduction {
 public:
  /// Takes its buffers from the arena: "gradients.<k>", "workspace.exchange", and those of GradientScatter. `type` is f32 or f64. `mesh`
  /// must outlive it.
  GradientReduction(Arena& arena, const ParameterSet& set, DType type, const Mesh& mesh, const ReductionSettings& settings);

  /// Begins a step of `leaves` leaves.
  void begin(Stream& stream, std::int64_t leaves);
  /// Which leaves this rank computes.
  const LeafRounds& rounds() const { return rounds_; }
  /// Rounds of this rank's group, and this rank's leaf in one; -1: it has none, and only takes part in the communication.
  std::int64_t round_count() const { return rounds_.rounds(mesh_.replicas().rank()); }
  std::int64_t leaf_of(std::int64_t round) const { return rounds_.leaf(mesh_.replicas().rank(), mesh_.shards().rank(), round); }
  /// A leaf's round begins: where its gradient goes. Every element is to be written, between open() and close() of its unit, as open()
  /// says.
  const FlatBuffer& begin_round(std::int64_t round);
  /// Units are closed once a round, the last one first. Of a round whose gradients go nowhere none is. Write::add: what is there is the sum
  /// to which the leaf would be added next, and its gradient is to be added there as it is made.
  Write open(int unit);
  void close(int unit);
  /// Whether open() and close() in the round that has begun do more than add buffers: pieces travel, or have to be waited for.
  bool opening_acts() const { return scatter_ != nullptr; }
  bool closing_acts() const { return scatter_ != nullptr || (round_ + 1 == round_count() && exchanges_early()); }
  /// Appends what decides which memory the round that has begun writes, and what it adds into what: rounds alike in it do the same.
  void describe_round(std::vector<std::int64_t>& text) const;
  /// Moves what is under way on. Local.
  void poll();
  /// A step is dropped, after any round of this rank: what is under way comes to its end. Collective over the world.
  void drop();
  /// Folds over ranks. What of the result is right is what part() says: the own part of the optimizer's partition, or all of it (ddp).
  /// Valid until the next begin(). Collective over the world.
  const FlatBuffer& finish();
  const Partition& part() const { return optimizer_; }

 private:
  bool fast() const { return settings_.fast; }
  /// Whether every group gets all of its sum back, rather than its part of the optimizer's.
  bool returns() const { return !mesh_.strategy().shards_optimizer || mesh_.strategy().scatters_gradients; }
  /// Whether units are exchanged between groups as soon as their sum is complete, rather than all at the step's end.
  bool exchanges_early() const { return settings_.overlap && mesh_.hides(mesh_.replicas()); }
  void take_buffers(Arena& arena, DType type);
  /// Whether the leaf being computed is added to buffer target_, as far as this unit goes.
  bool adds(int unit) const { return target_ >= 0 && shards_.set().units()[static_cast<std::size_t>(unit)].adds; }
  LeafRound leaf_round(std::int64_t round) const;
  void count_round(LeafCounter& counter, int present, LeafCounter::Add add, LeafCounter::Add copy) const;
  void count_leaf(LeafCounter::Add add) const;
  void fold_arrival(const GradientScatter::Arrival& arrival);
  void fold_leaf(int unit);
  void complete(int unit);
  void complete_rest();
  bool advance();
  void wait(FunctionRef<bool()> over);
  const FlatBuffer& finish_fast();

  const Mesh& mesh_;
  ReductionSettings settings_;
  Partition shards_, optimizer_;
  std::vector<FlatBuffer> buffers_;
  std::unique_ptr<GradientScatter> scatter_;   // where a group has several ranks
  std::unique_ptr<ReplicaExchange> exchange_;  // where there are several groups
  Stream* stream_ = nullptr;
  LeafRounds rounds_{0, 1, 1, 1};
  std::int64_t leaves_ = 0, round_ = -1;
  LeafCounter counter_;                // as it will be once the round that has begun is folded
  std::vector<LeafCounter> at_round_;  // as it was at the beginning of each round
  std::vector<int> present_;           // ranks of the group with a leaf in each round
  int leaf_buffer_ = 0;                // being computed, of units that do not add
  int target_ = -1;                    // buffer that the leaf is added to first, computed here alone; -1: none
  FlatBuffer leaf_;                    // where the units of such a leaf go
  int next_complete_ = 0;              // unit whose sum over this group's leaves comes next
  bool moving_ = false;
};

}  // namespace strata
