#include "strata/train/span_leaves.hpp"

#include <numeric>

#include "strata/tensor/values.hpp"

namespace strata {

SpanLeaves::SpanLeaves(const FeatureFile& file, const DataOrder& order, std::int64_t micro) : loader_(file, order, micro) {}

void SpanLeaves::fill(std::int64_t leaf, Activations& a) {
  loader_.fill(position(leaf), end_, batch_);
  set_values(a.inputs, batch_.inputs), set_values(a.labels, batch_.labels);
  set_values(a.encoder.types, batch_.types), set_values(a.encoder.lengths, batch_.lengths);
  if (!a.encoder.samples.given()) return;
  std::vector<std::int32_t> numbers(static_cast<std::size_t>(loader_.rows()));
  std::iota(numbers.begin(), numbers.end(), static_cast<std::int32_t>(leaf * loader_.rows()));
  set_values(a.encoder.samples, numbers);
}

}  // namespace strata
