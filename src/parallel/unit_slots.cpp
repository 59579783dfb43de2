#include "strata/parallel/unit_slots.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace strata {

namespace {

// Every part allocates alike: what the largest needs.
std::int64_t largest_part(const Partition& partition, int unit) {
  std::int64_t most = 1;
  for (int part = 0; part < partition.parts(); ++part) most = std::max(most, partition.elements(unit, part).count());
  return most;
}

}  // namespace

UnitSlots::UnitSlots(Arena& arena, const std::string& name, DType type, const Partition& partition, int depth)
    : partition_(partition), slot_of_(partition.set().units().size(), -1), my_(slot_of_.size()) {
  const ParameterSet& set = partition.set();
  // "layer.3" takes turns with the other layers only, even where the embedding happens to be of their size.
  const auto kind = [](const Unit& unit) { return std::pair(unit.name.substr(0, unit.name.find('.')), unit.elements); };
  std::map<std::pair<std::string, std::int64_t>, std::vector<std::size_t>> by_kind;
  std::map<std::pair<std::string, std::int64_t>, int> units;
  for (const Unit& unit : set.units()) ++units[kind(unit)];
  for (std::size_t u = 0; u < set.units().size(); ++u) {
    const Unit& unit = set.units()[u];
    auto& slots = by_kind[kind(unit)];
    const int wanted = std::min(depth, units[kind(unit)]);
    for (auto k = static_cast<int>(slots.size()); k < wanted; ++k) {
      slots.push_back(slots_.size());
      slots_.push_back({take(arena, text(name, ".", unit.name, wanted > 1 ? text("+", k) : ""), type,
                             Shape{largest_part(partition, static_cast<int>(u))})});
    }
    my_[u] = slots;
  }
}

const UnitSlots::Slot& UnitSlots::choose(int unit) const {
  const auto& mine = my_[static_cast<std::size_t>(unit)];
  const auto free_first = [&](std::size_t a, std::size_t b) {
    const Slot &left = slots_[a], &right = slots_[b];
    return std::pair(left.unit >= 0, left.since) < std::pair(right.unit >= 0, right.since);
  };
  return slots_[*std::min_element(mine.begin(), mine.end(), free_first)];
}

int UnitSlots::leaves_for(int unit) const {
  return choose(unit).unit;
}

View UnitSlots::assign(int unit) {
  Slot& slot = slots_[static_cast<std::size_t>(&choose(unit) - slots_.data())];
  if (slot.unit >= 0) release(slot.unit);
  slot.unit = unit, slot.since = ++clock_;
  slot_of_[static_cast<std::size_t>(unit)] = static_cast<int>(&slot - slots_.data());
  return of(unit);
}

View UnitSlots::of(int unit) const {
  return slots_[static_cast<std::size_t>(slot_of_[static_cast<std::size_t>(unit)])].memory.rows(0, partition_.elements(unit).count());
}

void UnitSlots::release(int unit) {
  int& slot = slot_of_[static_cast<std::size_t>(unit)];
  if (slot >= 0) slots_[static_cast<std::size_t>(slot)].unit = -1;
  slot = -1;
}

// Who holds which slot, and which of them came first.
void UnitSlots::describe(std::vector<std::int64_t>& text) const {
  for (const Slot& slot : slots_) {
    const auto before = [&](const Slot& other) { return other.since < slot.since; };
    text.push_back(slot.unit), text.push_back(std::count_if(slots_.begin(), slots_.end(), before));
  }
}

void UnitSlots::clear() {
  for (std::size_t u = 0; u < slot_of_.size(); ++u) release(static_cast<int>(u));
}

}  // namespace strata
