#include "strata/parallel/flat_buffer.hpp"

#include <algorithm>

namespace strata {

FlatBuffer FlatBuffer::take(Arena& arena, const std::string& name, DType type, const Partition& partition) {
  FlatBuffer buffer(partition.set());
  const View flat = strata::take(arena, name, type, Shape{partition.buffer_elements()});
  for (int u = 0; u < static_cast<int>(partition.set().units().size()); ++u) {
    const Range own = partition.elements(u);
    buffer.place(u, flat.rows(partition.offset(u), own.count()), own.first);
  }
  buffer.flat_ = flat;
  return buffer;
}

FlatBuffer FlatBuffer::take(Arena& arena, const std::string& name, DType type, const Partition& partition,
                            FunctionRef<bool(const Unit&)> wanted) {
  const std::vector<Unit>& units = partition.set().units();
  if (std::all_of(units.begin(), units.end(), [&](const Unit& unit) { return wanted(unit); })) return take(arena, name, type, partition);
  constexpr std::int64_t alignment = ParameterSet::unit_alignment;
  // Every part allocates alike: what the largest needs.
  const auto room_of = [&](std::size_t u) {
    std::int64_t most = 0;
    for (int part = 0; part < partition.parts(); ++part) most = std::max(most, partition.elements(static_cast<int>(u), part).count());
    return (most + alignment - 1) / alignment * alignment;
  };
  std::int64_t all = 0, at = 0;
  for (std::size_t u = 0; u < units.size(); ++u) all += wanted(units[u]) ? room_of(u) : 0;
  FlatBuffer buffer(partition.set());
  const View flat = strata::take(arena, name, type, Shape{all});
  for (std::size_t u = 0; u < units.size(); ++u) {
    if (!wanted(units[u])) continue;
    const Range own = partition.elements(static_cast<int>(u));
    buffer.place(static_cast<int>(u), flat.rows(at, own.count()), own.first);
    at += room_of(u);
  }
  return buffer;
}

void FlatBuffer::place(int u, View values, std::int64_t first) {
  stretches_[static_cast<std::size_t>(u)] = {first, values};
  flat_ = View();
}

View FlatBuffer::within(int u, std::int64_t first, std::int64_t count) const {
  const Range here = range(u);
  STRATA_ASSERT(first >= here.first && first + count <= here.last, "elements ", first, " .. ", first + count, " of unit ",
                set_->units()[static_cast<std::size_t>(u)].name, " are not here, which has ", here.first, " .. ", here.last);
  return at(u).values.rows(first - here.first, count);
}

View FlatBuffer::fused(int p, Shape shape) const {
  const Parameter& parameter = (*set_)[p];
  return within(parameter.unit, parameter.offset, shape.elements()).reshaped(shape);
}

Range FlatBuffer::held(int p) const {
  const Parameter& parameter = (*set_)[p];
  const Range here = range(parameter.unit);
  return common({here.first - parameter.offset, here.last - parameter.offset}, {0, parameter.elements()});
}

View FlatBuffer::slice(int p, Range range) const {
  const Parameter& parameter = (*set_)[p];
  return within(parameter.unit, parameter.offset + range.first, range.count());
}

}  // namespace strata
