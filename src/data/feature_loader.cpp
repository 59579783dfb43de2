// Feature loader: rows put together from the file in memory.
#include "strata/data/feature_loader.hpp"

#include <algorithm>

#include "strata/base/error.hpp"
#include "strata/data/loader.hpp"

namespace strata {

FeatureLoader::FeatureLoader(const FeatureFile& file, const DataOrder& order, std::int64_t rows)
    : file_(&file), order_(order), rows_(rows) {
  STRATA_ASSERT(rows >= 1 && order.samples() == file.info().features, rows, " rows, order of ", order.samples(), ", ", file.info().features,
                " features");
}

void FeatureLoader::fill(std::int64_t position, std::int64_t end, FeatureBatch& batch) const {
  const std::int64_t sequence = file_->info().sequence;
  const auto rows = static_cast<std::size_t>(rows_), size = static_cast<std::size_t>(rows_ * sequence);
  batch.position = position, batch.counted = counted_labels(position, end);
  batch.inputs.assign(size, static_cast<std::int32_t>(file_->info().frame.pad));
  batch.types.assign(size, 0);
  batch.lengths.assign(rows, 1);
  batch.labels.assign(2 * rows, ignored_label);
  batch.features.assign(rows, -1);
  for (std::size_t row = 0; row < rows && position + static_cast<std::int64_t>(row) < end; ++row) {
    const std::int64_t number = order_.sample_at(position + static_cast<std::int64_t>(row));
    const std::size_t at = row * static_cast<std::size_t>(sequence);
    const Feature feature = file_->row(number, &batch.inputs[at], &batch.types[at]);
    batch.lengths[row] = static_cast<std::int32_t>(feature.used);
    batch.labels[2 * row] = static_cast<std::int32_t>(feature.label.start);
    batch.labels[2 * row + 1] = static_cast<std::int32_t>(feature.label.end);
    batch.features[row] = number;
  }
}

std::int64_t FeatureLoader::counted_labels(std::int64_t position, std::int64_t end) const {
  return 2 * std::clamp<std::int64_t>(end - position, 0, rows_);
}

}  // namespace strata
