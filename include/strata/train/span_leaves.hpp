#pragma once
// Leaves of question answering, from a feature file: rows of questions and contexts, and the spans of the answers.
#include "strata/data/feature_loader.hpp"
#include "strata/train/file_leaves.hpp"

namespace strata {

/// A row's number for dropout (encoder.samples) is its place in the step, so that neither ranks nor the size of micro-batches enter.
class SpanLeaves final : public FileLeaves {
 public:
  /// `file` must outlive this. Local.
  SpanLeaves(const FeatureFile& file, const DataOrder& order, std::int64_t micro);
  std::int64_t samples() const override { return loader_.order().samples(); }
  /// The file is in memory: there is nothing to read.
  void read_ahead(std::function<std::optional<std::int64_t>()>, std::int64_t) override {}
  void begin(std::int64_t cursor, std::int64_t sequences) override { cursor_ = cursor, end_ = cursor + sequences; }
  std::int64_t counted(std::int64_t leaf) override { return loader_.counted_labels(position(leaf), end_); }
  void fill(std::int64_t leaf, Activations& activations) override;

 private:
  std::int64_t position(std::int64_t leaf) const { return cursor_ + leaf * loader_.rows(); }
  FeatureLoader loader_;
  FeatureBatch batch_;
  std::int64_t cursor_ = 0, end_ = 0;
};

}  // namespace strata
