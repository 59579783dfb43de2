#pragma once
// Unit slots: memory in which units, or their shards, take turns.
#include <string>
#include <vector>

#include "strata/parallel/partition.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// Room for the own part of a unit. For units of one kind ("layer" of "layer.3") and size, as many slots as there are of them, but at most
/// `depth`. So blocks share a few, and embedding and head have their own.
class UnitSlots {
 public:
  UnitSlots(Arena& arena, const std::string& name, DType type, const Partition& partition, int depth);
  bool holds(int unit) const { return slot_of_[static_cast<std::size_t>(unit)] >= 0; }
  View of(int unit) const;
  /// Who would have to leave for this unit: the one that came first to its kind's slots, if all are taken; -1: nobody.
  int leaves_for(int unit) const;
  /// Gives the unit a slot.
  View assign(int unit);
  void release(int unit);
  void clear();
  /// Appends what decides where units will be assigned from now on: slots alike in it give the same units the same places.
  void describe(std::vector<std::int64_t>& text) const;

 private:
  struct Slot {
    View memory;
    int unit = -1;
    std::int64_t since = 0;
  };
  const Slot& choose(int unit) const;
  Partition partition_;
  std::vector<Slot> slots_;
  std::vector<int> slot_of_;                  // by unit, -1: none
  std::vector<std::vector<std::size_t>> my_;  // slots a unit may take
  std::int64_t clock_ = 0;
};

}  // namespace strata
