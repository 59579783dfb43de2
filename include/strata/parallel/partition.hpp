#pragma once
// Partition: how the elements of every unit are shared out to owners.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "strata/parallel/parameter_set.hpp"

namespace strata {

/// A half-open stretch of elements or blocks.
struct Range {
  std::int64_t first = 0, last = 0;
  std::int64_t count() const { return last - first; }
  bool operator==(const Range&) const = default;
};
/// What two stretches have in common; empty (count 0) where they do not meet.
inline Range common(Range a, Range b) {
  const std::int64_t first = std::max(a.first, b.first);
  return {first, std::max(first, std::min(a.last, b.last))};
}

/// Every unit is cut into `parts` contiguous shards of as equal numbers of blocks as can be; shard k of every unit belongs to part k. One
/// part is the whole.
class Partition {
 public:
  Partition(const ParameterSet& set, int parts = 1, int part = 0);
  const ParameterSet& set() const { return *set_; }
  int parts() const { return parts_; }
  int part() const { return part_; }
  /// Elements of `unit` that belong to a part, counted inside the unit.
  Range elements(int unit, int part) const;
  Range elements(int unit) const { return elements(unit, part_); }
  /// The same in blocks.
  Range blocks(int unit, int part) const;
  /// Blocks of a part in all units.
  std::int64_t blocks(int part) const;
  /// Elements of the longest shard of any unit and part; 1 at least.
  std::int64_t longest_shard() const;
  /// Where the own shard of a unit lies in a buffer of own shards; of the whole, where the unit lies in the flat buffer. [elements]
  std::int64_t offset(int unit) const { return offsets_[static_cast<std::size_t>(unit)]; }
  /// Elements of such a buffer. Every part allocates alike: what the largest needs.
  std::int64_t buffer_elements() const { return buffer_elements_; }

 private:
  const ParameterSet* set_;
  int parts_, part_;
  std::vector<std::int64_t> offsets_;
  std::int64_t buffer_elements_ = 0;
};

}  // namespace strata
