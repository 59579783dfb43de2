#pragma once
// Answer scoring: from the logits of a validation to answers and their scores, exact over ranks.
#include <cstdint>
#include <optional>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/evaluate/answer_logits.hpp"
#include "strata/evaluate/answer_search.hpp"
#include "strata/evaluate/config.hpp"
#include "strata/evaluate/squad_score.hpp"
#include "strata/train/validation.hpp"

namespace strata {

/// Whether the questions of a feature file have answers to compare with: those of SQuAD 2.0 do, each of v1.1 must have one.
bool has_references(const FeatureFile& file);

/// Leaves of a validation over the first `features` features of a file, `micro` at a time in file order. The questions that lie wholly
/// among them are answered on rank 0, and scored against the answers in the file.
class AnswerScoring final : public ValidationScoring {
 public:
  /// `resamples`: draws for the scores' intervals (seed: run.seed); 0: none. `comm` and `file` must outlive it.
  AnswerScoring(Communicator& comm, const FeatureFile& file, const AnswerRules& rules, std::int64_t features, std::int64_t micro,
                std::uint64_t seed = 0, std::int64_t resamples = 0);
  void begin() override;
  void see(std::int64_t leaf, const Activations& activations) override;
  /// NaN where there are no references. Throws DivergenceError on every rank for a logit that is not finite.
  AnswerQuality finish() override;

  /// The questions that were answered. Local.
  const std::vector<SquadQuestion>& questions() const { return questions_; }
  /// After finish(), on rank 0: their answers, and with references the scores.
  const std::vector<FoundAnswer>& answers() const { return answers_; }
  const std::optional<SquadScores>& scores() const { return scores_; }

 private:
  AnswerQuality score();
  Communicator& comm_;
  const FeatureFile& file_;
  AnswerRules rules_;
  std::int64_t features_, micro_;
  std::uint64_t seed_;
  std::int64_t resamples_;
  std::vector<SquadQuestion> questions_;
  std::optional<AnswerLogits> logits_;
  std::vector<FoundAnswer> answers_;
  std::optional<SquadScores> scores_;
};

/// evaluate.n_best and the like, for this file. Local.
AnswerRules answer_rules(const EvaluateConfig& config, const FeatureFile& file);

}  // namespace strata
