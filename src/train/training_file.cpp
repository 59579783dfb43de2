#include "strata/train/training_file.hpp"

#include "strata/models/bert_qa.hpp"
#include "strata/train/data_leaves.hpp"
#include "strata/train/span_leaves.hpp"

namespace strata {

TrainingFile::TrainingFile(const std::filesystem::path& path) {
  if (is_feature_file(path))
    features_.emplace(path);
  else
    tokens_.emplace(path);
}

std::int64_t TrainingFile::vocabulary() const {
  return features_ ? features_->info().vocabulary : tokens_->info().vocabulary;
}

const std::string& TrainingFile::tokenizer_name() const {
  return features_ ? features_->info().tokenizer_name : tokens_->info().tokenizer_name;
}

const std::string& TrainingFile::tokenizer_hash() const {
  return features_ ? features_->info().tokenizer_hash : tokens_->info().tokenizer_hash;
}

const std::string& TrainingFile::hash() const {
  return features_ ? features_->hash() : tokens_->hash();
}

std::int64_t TrainingFile::samples(std::int64_t sequence) const {
  return features_ ? features_->info().features : tokens_->info().tokens / sequence;
}

void TrainingFile::require(const DataConfig& data) const {
  if (!features_) {
    TokenSamples(*tokens_, data.sequence, data.mask_documents);
    return;
  }
  const std::int64_t rows = features_->info().sequence;
  if (rows != data.sequence)
    throw DataError(text(features_->path().string(), ": the rows of this feature file have ", rows, " tokens, and data.sequence is ",
                         data.sequence, ": set data.sequence = ", rows, " or prepare it again"));
}

std::unique_ptr<FileLeaves> TrainingFile::leaves(const DataConfig& data, const DataOrder& order, std::int64_t micro) const {
  require(data);
  if (features_) return std::make_unique<SpanLeaves>(*features_, order, micro);
  return std::make_unique<DataLeaves>(*tokens_, data, order, micro);
}

std::unique_ptr<FileLeaves> TrainingFile::leaves(const DataConfig& data, std::int64_t micro) const {
  require(data);
  return leaves(data, DataOrder(samples(data.sequence), 0, false), micro);
}

void require_kind(const TrainingFile& file, const std::filesystem::path& path, const Model& model) {
  if (file.holds_features() && !model.answers_questions())
    throw DataError(text(path.string(), ": a feature file of questions and answers, which BERT models learn from; a ", model.family(),
                         " model learns from a token file: prepare text for it (prepare.format = text)"));
  if (!file.holds_features() && model.answers_questions())
    throw DataError(text(path.string(), ": a token file; a ", model.family(),
                         " model for question answering learns from a feature file: prepare SQuAD for it (prepare.format = squad)"));
  const auto* bert = dynamic_cast<const BertForQuestionAnswering*>(&model);
  if (bert && bert->config().tables.types < 2)
    throw DataError(text(path.string(),
                         ": a feature file tells questions from contexts by two token types; the model's type_vocab_size is ",
                         bert->config().tables.types));
}

}  // namespace strata
