#include "strata/tensor/values.hpp"

namespace strata {

OnHost::OnHost(const ConstView& view) : view_(view) {
  if (!view.data() || view.elements() == 0 || !gpu_of(view.data())) return;
  // All memory between the first and the last element: strided views keep their strides.
  std::int64_t last = 0;
  for (int d = 0; d < view.rank(); ++d) last += (view.size(d) - 1) * view.stride(d);
  copy_.resize(static_cast<std::size_t>(last + 1) * size_of(view.type()));
  copy_memory(copy_.data(), view.data(), static_cast<std::int64_t>(copy_.size()));
  view_ = ConstView(copy_.data(), view.type(), view.shape(), view.strides());
}

}  // namespace strata
