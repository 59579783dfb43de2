#pragma once
// Training file: what a model learns from or is validated on, a token file or a feature file.
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "strata/data/config.hpp"
#include "strata/data/feature_file.hpp"
#include "strata/data/order.hpp"
#include "strata/data/token_file.hpp"
#include "strata/train/file_leaves.hpp"

namespace strata {

class TrainingFile {
 public:
  /// Throws DataError where it is neither, or damaged.
  explicit TrainingFile(const std::filesystem::path& path);
  /// Which of the two it is.
  bool holds_features() const { return features_.has_value(); }
  const TokenFileReader& tokens() const { return tokens_.value(); }
  const FeatureFile& features() const { return features_.value(); }

  /// Every id is below.
  std::int64_t vocabulary() const;
  const std::string& tokenizer_name() const;
  const std::string& tokenizer_hash() const;
  /// As it goes into checkpoints.
  const std::string& hash() const;
  /// Of one epoch, in sequences of `sequence` tokens; those of a feature file have their own length.
  std::int64_t samples(std::int64_t sequence) const;
  /// Throws DataError where the file does not give sequences as `data` wants them.
  void require(const DataConfig& data) const;
  /// Its leaves in this order of samples(); the file must outlive them. Throws as require() does.
  std::unique_ptr<FileLeaves> leaves(const DataConfig& data, const DataOrder& order, std::int64_t micro) const;
  /// In the file's order, every sequence once.
  std::unique_ptr<FileLeaves> leaves(const DataConfig& data, std::int64_t micro) const;

 private:
  std::optional<TokenFileReader> tokens_;
  std::optional<FeatureFile> features_;
};

/// Throws DataError unless the file is of the kind that the model learns from, with ids and token types that it has.
void require_kind(const TrainingFile& file, const std::filesystem::path& path, const Model& model);

}  // namespace strata
