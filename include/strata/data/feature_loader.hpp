#pragma once
// Feature loader: rows of a feature file in data order, as a question-answering model takes them.
#include <cstdint>
#include <vector>

#include "strata/data/feature_file.hpp"
#include "strata/data/order.hpp"

namespace strata {

/// M rows of S tokens.
struct FeatureBatch {
  std::int64_t position = -1;          // of the first row in the data order
  std::int64_t counted = 0;            // labels that count: two for each row that is no filler
  std::vector<std::int32_t> inputs;    // [M*S] input_ids
  std::vector<std::int32_t> types;     // [M*S] token_type_ids
  std::vector<std::int32_t> lengths;   // [M] tokens that are not padding
  std::vector<std::int32_t> labels;    // [M*2] start and end; -100: does not count
  std::vector<std::int64_t> features;  // [M] number of each row's feature in the file; -1: filler
};

/// Batches by position in the data order. Thread-safe. `file` must outlive it.
class FeatureLoader {
 public:
  FeatureLoader(const FeatureFile& file, const DataOrder& order, std::int64_t rows);
  std::int64_t rows() const { return rows_; }
  const FeatureFile& file() const { return *file_; }
  const DataOrder& order() const { return order_; }
  /// Positions [position, position + M). Rows at `end` and beyond are filler: one [PAD] that is read, labels -100.
  void fill(std::int64_t position, std::int64_t end, FeatureBatch& batch) const;
  /// What fill() would put into batch.counted.
  std::int64_t counted_labels(std::int64_t position, std::int64_t end) const;

 private:
  const FeatureFile* file_;
  DataOrder order_;
  std::int64_t rows_;
};

}  // namespace strata
