#pragma once
// Gradient scatter: each micro-batch's gradient, unit by unit, to the owners of its shards while the backward pass goes on (strategies
// zero2, fsdp, hybrid).
#include <functional>
#include <memory>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/device/stream.hpp"
#include "strata/parallel/flat_buffer.hpp"
#include "strata/parallel/host_grid.hpp"
#include "strata/parallel/library_scatter.hpp"
#include "strata/parallel/piece_exchange.hpp"
#include "strata/parallel/unit_slots.hpp"

namespace strata {

/// The leaves of a round: consecutive ones, of the first ranks of the group.
struct LeafRound {
  std::int64_t number = 0;  // of the step's rounds
  std::int64_t first = 0;   // leaf
  int present = 0;          // leaves
};

class GradientScatter {
 public:
  /// A part of the own shard of a unit, of every slice of a round. The slices may be overwritten.
  struct Arrival {
    std::int64_t round;
    int unit;
    std::int64_t first;        // [elements] in the own shard
    std::vector<View> slices;  // one per slice of slices_of(present)
  };
  struct Settings {
    std::int64_t bucket = 0;  // [elements] of a message at most
    int depth = 2;            // units of each size whose gradients are computed or under way at once
    std::int64_t block = 1;   // [leaves]
    bool fast = false;        // the library adds the leaves of a round
  };
  using Fold = std::function<void(const Arrival&)>;
  using Done = std::function<void(std::int64_t round, int unit)>;

  /// Takes windows "gradients.window.<unit>" and "workspace.scatter". `hosts` is the grid of `group`, or null. `fold` is called in the same
  /// order of units and parts on every rank, `done` once all of a unit has come, been folded, and left.
  GradientScatter(Arena& arena, const Partition& partition, DType type, Communicator& group, const HostGrid* hosts,
                  const Settings& settings, Fold fold, Done done);

  /// Leaves of each slice that arrives in a round of `present` leaves: one each, or those of a host, which the host has folded, or all.
  std::vector<std::int64_t> slices_of(int present) const;
  /// Where the leaf that is computed puts its gradient; valid for units that are open.
  const FlatBuffer& leaf() const { return leaf_; }
  /// A round of a step of `leaves` leaves begins; `stream` folds.
  void begin_round(Stream& stream, std::int64_t leaves, const LeafRound& round);
  /// Whether a window for the unit is free; if not, some units have to be waited for with advance().
  bool can_open(int unit) const;
  /// Gives the unit a window. Every rank of the group, with or without a leaf. Local.
  void open(int unit);
  /// The unit's gradient is there: it leaves for its owners. Local; every rank of the group does the same.
  void close(int unit);
  /// Appends what decides where the units of the round that has begun will lie.
  void describe(std::vector<std::int64_t>& text) const { windows_.describe(text); }
  /// Moves what is under way on by one move; false: nothing can be done now. Local.
  bool advance();
  /// Everything has come, been folded, and left.
  bool idle() const;

 private:
  void scatter(int unit, View window);
  void add_by_library(int unit, View window);
  void fold_on_host(int unit, View window);
  void scatter_from_host(int unit, View window, LeafRound round);
  void retire(int unit, const LeafRound& round);
  int present_on(int host, const LeafRound& round) const;

  Partition partition_;
  Communicator& group_;
  const HostGrid* hosts_;  // null: every leaf's pieces go to their owners directly
  std::int64_t block_;
  Fold fold_;
  Done done_;
  UnitSlots windows_;
  FlatBuffer leaf_;
  std::vector<int> under_way_;                      // by unit
  std::unique_ptr<LibraryScatter> library_;         // among all by the library, or
  std::unique_ptr<PieceExchange> direct_;           // among all, or
  std::unique_ptr<PieceExchange> inside_, across_;  // among the ranks of a host, then between hosts
  Stream* stream_ = nullptr;
  std::int64_t leaves_ = 0;  // of the step
  LeafRound round_;
};

}  // namespace strata
