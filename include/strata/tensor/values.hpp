#pragma once
// Values of tensors as the host sees them, whatever memory they lie in. For what the host decides, writes to files or prints; the work of a
// step is done by ops.
#include <cstddef>
#include <span>
#include <vector>

#include "strata/device/gpu.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// Sets a contiguous tensor's elements, as many as there are values. Ops given to the device later see them. `values` may be used again. On
/// the plan device nothing.
template <class T>
void set_values(const View& to, std::span<const T> values) {
  STRATA_ASSERT(to.contiguous() && to.elements() == static_cast<std::int64_t>(values.size()), values.size(), " values for ",
                to.shape().str());
  if (to.data()) begin_copy_memory(to.as<T>(), values.data(), to.bytes());
}
template <class T>
void set_values(const View& to, const std::vector<T>& values) {
  set_values(to, std::span<const T>(values));
}

/// A contiguous tensor's elements, as ops given before leave them.
template <class T>
std::vector<T> values_of(const ConstView& from) {
  STRATA_ASSERT(from.contiguous(), "values of a strided view of shape ", from.shape().str());
  std::vector<T> values(static_cast<std::size_t>(from.elements()));
  copy_memory(values.data(), from.as<T>(), from.bytes());
  return values;
}

/// A tensor to be read by the host: itself, or a copy of it where it lies in a GPU's memory.
class OnHost {
 public:
  explicit OnHost(const ConstView& view);
  const ConstView& view() const { return view_; }

 private:
  std::vector<std::byte> copy_;
  ConstView view_;
};

}  // namespace strata
