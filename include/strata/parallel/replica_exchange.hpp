#pragma once
// Replica exchange: once a step, groups that have folded their own leaves fold their pieces over groups, unit by unit.
#include <deque>
#include <memory>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/device/stream.hpp"
#include "strata/parallel/flat_buffer.hpp"
#include "strata/parallel/host_grid.hpp"
#include "strata/parallel/piece_exchange.hpp"
#include "strata/parallel/reduction_tree.hpp"

namespace strata {

/// Every rank of `replicas` owns a stretch of each unit of what they all have pieces of. Pieces of a stretch come to its owner, who adds
/// them in the order of the tree; with `returns`, the sums then go to everybody. Where the leaves of each host are one subtree, they are
/// folded inside the hosts first, so that one piece of each host travels between hosts.
class ReplicaExchange {
 public:
  struct Settings {
    std::int64_t most_blocks = 1;  // of a step
    std::int64_t bucket = 0;       // [elements] of a message at most
    bool returns = false;
  };
  /// Takes "workspace.exchange". `here` is what of every unit the buffers hold. Without `returns`, rank r owns part r of `owned`; with it,
  /// equal stretches. `hosts` is the grid of `replicas`, or null.
  ReplicaExchange(Arena& arena, DType type, Communicator& replicas, const HostGrid* hosts, const Partition& here, const Partition& owned,
                  const Settings& settings);

  /// A step of `blocks` blocks; `entries` will be this rank's pieces, in `buffers`, of which the first one's (0 without any) takes the sum.
  void begin_step(Stream& stream, const std::vector<FlatBuffer>& buffers, std::vector<LeafCounter::Entry> entries, std::int64_t blocks);
  /// The pieces of a unit are there. Local; every replica begins the same units in the same order.
  void begin(int unit);
  /// Moves what is under way on by one move; false: nothing can be done now. Local.
  bool advance();
  /// The own stretch of the sum (with returns: all of it) is set in buffers[result()] for every unit that has begun.
  bool idle() const;
  std::size_t result() const { return result_; }

 private:
  using Nodes = std::vector<std::vector<TreeNode>>;  // that each rank brings
  /// Sums on their way back, and what follows.
  struct Returning {
    std::unique_ptr<Transfer> transfer;
    std::function<void()> done;
  };
  Range owned_by(int unit, int rank) const;
  Nodes nodes_of(int ranks, std::int64_t first_block, std::int64_t blocks) const;
  bool folds_first() const;
  View place(int unit, Range part) const;
  void fold_between_all(int unit);
  void fold_on_host(int unit);
  void fold_between_hosts(int unit);
  void give_back(Communicator& ranks, int unit, const std::function<std::vector<Range>(int)>& owned, std::function<void()> done);
  PieceExchange::Task task_of(int unit, const Nodes& nodes, int rank, std::vector<View> own);
  std::function<std::vector<Range>(int)> owned_on_host(int unit) const;
  std::function<std::vector<Range>(int)> owned_between_hosts(int unit) const;

  Communicator& replicas_;
  const HostGrid* hosts_;
  Partition here_, owned_;
  Settings settings_;
  std::unique_ptr<PieceExchange> all_, inside_, across_;
  std::deque<Returning> returning_;
  Stream* stream_ = nullptr;
  const std::vector<FlatBuffer>* buffers_ = nullptr;
  std::vector<LeafCounter::Entry> entries_;
  std::int64_t blocks_ = 0;
  std::size_t result_ = 0;
  bool hosts_first_ = false;                 // in this step
  Nodes by_rank_, on_host_, between_hosts_;  // that each rank brings, in this step
};

}  // namespace strata
