#include "strata/parallel/parameter_set.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata {

std::int64_t Parameter::blocks() const {
  return (elements() + ParameterSet::block_elements - 1) / ParameterSet::block_elements;
}

void ParameterSet::begin_unit(std::string name, bool adds) {
  Unit unit;
  unit.adds = adds;
  unit.name = std::move(name);
  unit.offset = padded_elements();
  unit.first = static_cast<int>(parameters_.size());
  unit.first_block = blocks();
  units_.push_back(std::move(unit));
}

int ParameterSet::add(std::string name, Shape shape, Init init) {
  STRATA_ASSERT(!units_.empty(), "parameter ", name, " outside a unit");
  STRATA_ASSERT(find(name) < 0, "parameter ", name, " registered twice");
  Unit& unit = units_.back();
  Parameter parameter{std::move(name), shape, init, static_cast<int>(units_.size()) - 1, unit.elements, unit.blocks};
  unit.elements += shape.elements();
  unit.blocks += parameter.blocks();
  unit.count += 1;
  parameters_.push_back(std::move(parameter));
  return static_cast<int>(parameters_.size()) - 1;
}

int ParameterSet::find(const std::string& name) const {
  for (std::size_t p = 0; p < parameters_.size(); ++p)
    if (parameters_[p].name == name) return static_cast<int>(p);
  return -1;
}

std::int64_t ParameterSet::elements() const {
  std::int64_t sum = 0;
  for (const Unit& unit : units_) sum += unit.elements;
  return sum;
}

std::int64_t ParameterSet::padded_elements() const {
  if (units_.empty()) return 0;
  const Unit& last = units_.back();
  return last.offset + (last.elements + unit_alignment - 1) / unit_alignment * unit_alignment;
}

std::int64_t ParameterSet::blocks() const {
  return units_.empty() ? 0 : units_.back().first_block + units_.back().blocks;
}

std::int64_t ParameterSet::block_begin(int u, std::int64_t block) const {
  const Unit& unit = units_[static_cast<std::size_t>(u)];
  STRATA_ASSERT(block >= 0 && block <= unit.blocks, "block ", block, " of ", unit.blocks, " of ", unit.name);
  if (block == unit.blocks) return unit.elements;
  const auto begin = parameters_.begin() + unit.first;
  const auto after =
      std::upper_bound(begin, begin + unit.count, block, [](std::int64_t b, const Parameter& p) { return b < p.first_block; });
  const Parameter& parameter = *std::prev(after);
  return parameter.offset + (block - parameter.first_block) * block_elements;
}

}  // namespace strata
