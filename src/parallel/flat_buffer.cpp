#include "strata/parallel/flat_buffer.hpp"

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
