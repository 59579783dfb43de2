// Answer scoring: every rank keeps the logits of its leaves, rank 0 searches, all hear what it is worth.
#include "strata/evaluate/answer_scoring.hpp"
#include "strata/tensor/values.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_map>

namespace strata {

bool has_references(const FeatureFile& file) {
  return file.info().v2 || std::none_of(file.questions().begin(), file.questions().end(),
                                        [](const SquadQuestion& question) { return question.answers.empty(); });
}

AnswerRules answer_rules(const EvaluateConfig& config, const FeatureFile& file) {
  return {config.n_best, config.max_answer, config.null_threshold, file.info().v2};
}

AnswerScoring::AnswerScoring(Communicator& comm, const FeatureFile& file, const AnswerRules& rules, std::int64_t features,
                             std::int64_t micro, std::uint64_t seed, std::int64_t resamples)
    : comm_(comm), file_(file), rules_(rules), features_(features), micro_(micro), seed_(seed), resamples_(resamples) {
  const auto& all = file.questions();
  for (std::size_t q = 0; q < all.size() && file.features_of(static_cast<std::int64_t>(q)).second <= features; ++q)
    questions_.push_back(all[q]);
  if (questions_.empty())
    throw DataError(text(file.path().string(), ": no question lies wholly in the first ", features, " sequences: nothing can be scored"));
}

void AnswerScoring::begin() {
  logits_.emplace(features_, file_.info().sequence);
}

void AnswerScoring::see(std::int64_t leaf, const Activations& a) {
  const OnHost here(a.encoder.logits);
  const ConstView& logits = here.view();  // [B,2,S]
  const std::int64_t size = 2 * a.pass.S;
  std::vector<float> row(static_cast<std::size_t>(size));
  for (std::int64_t b = 0; b < micro_ && leaf * micro_ + b < features_; ++b) {
    if (logits.type() == DType::f64)
      std::transform(logits.as<double>() + b * size, logits.as<double>() + (b + 1) * size, row.begin(),
                     [](double value) { return static_cast<float>(value); });
    else
      std::copy_n(logits.as<float>() + b * size, size, row.begin());
    logits_->put(leaf * micro_ + b, row.data());
  }
}

AnswerQuality AnswerScoring::finish() {
  logits_->gather(comm_);
  AnswerQuality quality;
  guarded(comm_, [&] {
    if (comm_.rank() == 0) quality = score();
  });
  comm_.broadcast(&quality, sizeof quality, 0);
  logits_.reset();
  return quality;
}

AnswerQuality AnswerScoring::score() {
  answers_.clear(), scores_.reset();
  std::unordered_map<std::string, std::string> predictions;
  std::vector<NullChoice> choices;
  const auto count = static_cast<std::int64_t>(questions_.size());
  for (std::int64_t q = 0; q < count; ++q) {
    answers_.push_back(search_answer(
        file_, q, [&](std::int64_t k) { return logits_->of(k); }, rules_));
    predictions.emplace(questions_[static_cast<std::size_t>(q)].id, answers_.back().text);
    choices.push_back({answers_.back().best_text, answers_.back().null_difference});
  }
  if (!has_references(file_)) return {std::nan(""), std::nan(""), count};
  scores_ = score_squad(questions_, rules_.v2, predictions, seed_, resamples_);
  if (rules_.v2) search_thresholds(questions_, choices, *scores_);
  return {scores_->all.exact.value, scores_->all.f1.value, count};
}

}  // namespace strata
