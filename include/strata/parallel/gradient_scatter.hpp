#pragma once
// Gradient scatter: each micro-batch's gradient, unit by unit, to the owners of its shards while the backward pass goes on (strategies
// zero2, fsdp, hybrid).
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/parallel/flat_buffer.hpp"
#include "strata/parallel/unit_slots.hpp"

namespace strata {

class GradientScatter {
 public:
  /// A piece of the own shard of a unit, of every leaf of a round that there is, in the order of leaves. The slices may be overwritten.
  struct Arrival {
    std::int64_t round;
    int unit;
    std::int64_t first;            // [elements] in the own shard
    std::span<const View> slices;  // one per leaf
  };
  using Fold = std::function<void(const Arrival&)>;

  /// Takes windows "gradients.window.<unit>" for `depth` units of each size at most and "workspace.scatter" for two pieces of at most
  /// `bucket` elements from each of the others. Without `overlap`, close() waits. `fold` is called in the same order of units and pieces on
  /// every rank.
  GradientScatter(Arena& arena, const Partition& partition, DType type, Communicator& group, std::int64_t bucket, int depth, bool overlap,
                  Fold fold);

  /// Where the leaf that is computed puts its gradient; valid for units that are open.
  const FlatBuffer& leaf() const { return leaf_; }
  /// A round in which the first `present` ranks of the group have a leaf.
  void begin_round(std::int64_t round, int present) { round_ = round, present_ = present; }
  /// Gives the unit a window, waiting for one if need be. Every rank of the group, with or without a leaf. Collective, without meeting.
  void open(int unit);
  /// The unit's gradient is there: it leaves for its owners.
  void close(int unit);
  /// Moves what is under way on, and folds what has come. Local.
  void poll();
  /// Returns when everything has come and left.
  void finish();

 private:
  struct Leaving {
    int unit;
    View window;
    std::int64_t round;
    int present;
    bool mine;  // this rank has a leaf in the round
    std::unique_ptr<Transfer> sends;
    std::int64_t posted = 0, folded = 0;  // [elements] of the own shard
  };
  struct Post {
    Leaving* of;
    std::int64_t first, count;
    std::vector<View> slices;
    std::unique_ptr<Transfer> receives;
    std::size_t buffer;
  };
  void send(Leaving& leaving);
  bool post_one();
  bool fold_one(bool wait);
  bool retire_one(bool wait);
  std::int64_t shard(const Leaving& leaving) const { return partition_.elements(leaving.unit).count(); }

  Partition partition_;
  Communicator& group_;
  std::int64_t bucket_;
  bool overlap_;
  Fold fold_;
  UnitSlots windows_;
  FlatBuffer leaf_;
  View buffers_[2];  // [others, bucket]
  bool taken_[2] = {false, false};
  std::int64_t round_ = 0;
  int present_ = 0;
  std::deque<Leaving> leaving_;
  std::deque<Post> posts_;
};

}  // namespace strata
