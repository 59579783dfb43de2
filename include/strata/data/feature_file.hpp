#pragma once
// Feature file: the HDF5 file of SQuAD features that training and evaluation of question answering read (format in doc/squad.md).
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "strata/data/characters.hpp"
#include "strata/data/squad.hpp"
#include "strata/data/squad_features.hpp"
#include "strata/data/token_file.hpp"

namespace strata {

/// What a feature file says about itself.
struct FeatureFileInfo {
  std::int64_t version = 1;
  std::string tokenizer_kind, tokenizer_name, tokenizer_hash;
  std::int64_t vocabulary = 0;    // every id is below
  PairTokens frame;               // [CLS], [SEP], [PAD]
  std::int64_t sequence = 0;      // [tokens] of a row
  std::int64_t stride = 0;        // [tokens] that neighbouring stretches of a context share
  std::int64_t max_question = 0;  // [tokens] longer questions were cut; 0: none
  LabelRule labels = LabelRule::context;
  bool v2 = false;  // with questions that have no answer
  SquadCounts counts;
  std::int64_t contexts = 0, questions = 0, features = 0;
  std::int64_t context_tokens = 0, question_tokens = 0;
  std::int64_t unlabelled = 0;  // features of answerable questions that hold no part of the answer that counts: [CLS]
  std::vector<SourceFile> sources;
};

/// One row, but for its tokens.
struct Feature {
  std::int64_t question = 0;
  ContextSpan span;       // tokens of the question's context
  std::int64_t used = 0;  // [tokens] that are not padding
  LabelledSpan label;     // positions in the row; 0, 0: [CLS]
};

/// A feature file in memory (about 40 bytes per token of the contexts, each of which is stored once). Opening checks structure, every
/// checksum and every number: it trusts nothing. What is wrong is a DataError that names file and place. Thread-safe.
class FeatureFile {
 public:
  explicit FeatureFile(const std::filesystem::path& path);
  ~FeatureFile();
  FeatureFile(FeatureFile&&) noexcept;
  FeatureFile& operator=(FeatureFile&&) noexcept;

  const std::filesystem::path& path() const;
  const FeatureFileInfo& info() const;
  /// XXH3-128, 32 hexadecimal digits, over everything but the sources: equal for files that train the same. Goes into the checkpoint.
  const std::string& hash() const;
  /// Feature `k`, 0 <= k < info().features. Features lie in the order of their questions.
  Feature feature(std::int64_t k) const;
  /// Writes input_ids and token_type_ids of feature `k`, info().sequence each, and returns the feature. attention_mask is 1 below `used`.
  Feature row(std::int64_t k, std::int32_t* ids, std::int32_t* types) const;
  /// The characters of the context that the token at `position` of feature `k` comes from; first = end = 0 for tokens that are not of the
  /// context. `in_context` tells them apart.
  TextRange range(std::int64_t k, std::int64_t position) const;
  bool in_context(std::int64_t k, std::int64_t position) const;
  /// Features [first, second) of a question, at least one.
  std::pair<std::int64_t, std::int64_t> features_of(std::int64_t question) const;
  const SquadQuestion& question(std::int64_t number) const;
  const std::vector<SquadQuestion>& questions() const;
  const std::string& context(std::int64_t number) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Whether `path` is an HDF5 file that calls itself a feature file. Never throws.
bool is_feature_file(const std::filesystem::path& path);
/// What the file holds, for people, and as one JSON object (for `strata inspect`).
std::string describe_feature_file(const FeatureFile& file);
std::string feature_file_json(const FeatureFile& file);

}  // namespace strata
