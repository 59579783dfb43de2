#include "strata/train/span_leaves.hpp"

#include <algorithm>

namespace strata {

SpanLeaves::SpanLeaves(const FeatureFile& file, const DataOrder& order, std::int64_t micro) : loader_(file, order, micro) {}

void SpanLeaves::fill(std::int64_t leaf, Activations& a) {
  loader_.fill(position(leaf), end_, batch_);
  const auto copy = [](const std::vector<std::int32_t>& from, const View& to) {
    STRATA_ASSERT(static_cast<std::int64_t>(from.size()) == to.elements(), from.size(), " values for ", to.elements());
    std::copy(from.begin(), from.end(), to.as<std::int32_t>());
  };
  copy(batch_.inputs, a.inputs), copy(batch_.labels, a.labels);
  copy(batch_.types, a.encoder.types), copy(batch_.lengths, a.encoder.lengths);
  if (!a.encoder.samples.given()) return;
  for (std::int64_t row = 0; row < loader_.rows(); ++row)
    a.encoder.samples.as<std::int32_t>()[row] = static_cast<std::int32_t>(leaf * loader_.rows() + row);
}

}  // namespace strata
