#include "strata/parallel/parameter_set.hpp"

namespace strata {

void ParameterSet::begin_unit(std::string name) {
  Unit unit;
  unit.name = std::move(name);
  unit.offset = padded_elements();
  unit.first = static_cast<int>(parameters_.size());
  units_.push_back(std::move(unit));
}

int ParameterSet::add(std::string name, Shape shape, Init init) {
  STRATA_ASSERT(!units_.empty(), "parameter ", name, " outside a unit");
  STRATA_ASSERT(find(name) < 0, "parameter ", name, " registered twice");
  Unit& unit = units_.back();
  Parameter parameter{std::move(name), shape, init, static_cast<int>(units_.size()) - 1, unit.elements};
  unit.elements += shape.elements();
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

FlatBuffer FlatBuffer::take(Arena& arena, const std::string& name, DType type, const ParameterSet& set) {
  return FlatBuffer(set, strata::take(arena, name, type, Shape{set.padded_elements()}));
}

View FlatBuffer::unit(int u) const {
  const Unit& unit = set_->units()[static_cast<std::size_t>(u)];
  return flat_.rows(unit.offset, unit.elements);
}

View FlatBuffer::fused(int p, Shape shape) const {
  const Parameter& parameter = (*set_)[p];
  return unit(parameter.unit).rows(parameter.offset, shape.elements()).reshaped(shape);
}

}  // namespace strata
