#include "strata/parallel/partition.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata {
namespace {
// Shards begin at cache lines in every type down to one byte.
constexpr std::int64_t shard_alignment = 64;

std::int64_t aligned(std::int64_t elements) {
  return (elements + shard_alignment - 1) / shard_alignment * shard_alignment;
}
}  // namespace

Partition::Partition(const ParameterSet& set, int parts, int part) : set_(&set), parts_(parts), part_(part) {
  STRATA_ASSERT(parts >= 1 && part >= 0 && part < parts, "part ", part, " of ", parts);
  const auto units = static_cast<int>(set.units().size());
  if (parts == 1) {
    for (const Unit& unit : set.units()) offsets_.push_back(unit.offset);
    buffer_elements_ = set.padded_elements();
    return;
  }
  std::int64_t at = 0;
  for (int u = 0; u < units; ++u) {
    offsets_.push_back(at);
    std::int64_t most = 0;
    for (int k = 0; k < parts; ++k) most = std::max(most, elements(u, k).count());
    at += aligned(most);
  }
  buffer_elements_ = at;
}

Range Partition::blocks(int unit, int part) const {
  const std::int64_t blocks = set_->units()[static_cast<std::size_t>(unit)].blocks;
  return {blocks * part / parts_, blocks * (part + 1) / parts_};
}

std::int64_t Partition::blocks(int part) const {
  std::int64_t all = 0;
  for (int u = 0; u < static_cast<int>(set_->units().size()); ++u) all += blocks(u, part).count();
  return all;
}

Range Partition::elements(int unit, int part) const {
  const Range cut = blocks(unit, part);
  return {set_->block_begin(unit, cut.first), set_->block_begin(unit, cut.last)};
}

std::int64_t Partition::longest_shard() const {
  std::int64_t longest = 1;
  for (int u = 0; u < static_cast<int>(set_->units().size()); ++u)
    for (int part = 0; part < parts_; ++part) longest = std::max(longest, elements(u, part).count());
  return longest;
}

}  // namespace strata
