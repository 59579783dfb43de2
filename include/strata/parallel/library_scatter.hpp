#pragma once
// Library scatter: gradients of all ranks, added by the communication library in its own order, to the owners of their shards
// (parallel.reduction = fast).
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/parallel/partition.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// Sums that are under way at once are as many as there are buffers for what arrives; the others wait, and the memory they come from with
/// them.
class LibraryScatter {
 public:
  /// Takes "workspace.scatter": two shards. `group` must outlive it.
  LibraryScatter(Arena& arena, const Partition& partition, DType type, Communicator& group);
  /// Begins the sum of every rank's `values` of a unit; `fold` gets the own shard of it, then `done` is called. Local; every rank begins
  /// the same units in the same order.
  void begin(int unit, View values, std::function<void(View)> fold, std::function<void()> done);
  /// Makes one move; false: none can be made now. Local.
  bool advance();
  bool idle() const { return under_way_.empty(); }

 private:
  struct UnderWay {
    int unit;
    View values;
    std::function<void(View)> fold;
    std::function<void()> done;
    std::unique_ptr<Transfer> transfer;
    View shard;
  };
  bool post_one();
  bool end_one();

  Partition partition_;
  Communicator& group_;
  View buffers_[2];
  std::size_t posted_ = 0;  // of those under way
  std::int64_t next_ = 0;   // buffers take turns
  std::deque<UnderWay> under_way_;
};

}  // namespace strata
