#pragma once
// Answer search: from the start and end logits of a question's features to its best answers (semantics S10).
#include <cstdint>
#include <functional>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "strata/data/feature_file.hpp"
#include "strata/io/file.hpp"

namespace strata {

struct AnswerRules {
  std::int64_t n_best = 20;      // starts and ends of each feature, and answers of a question
  std::int64_t max_answer = 30;  // [tokens]
  double null_threshold = 0;     // v2: "" where null_difference is above
  bool v2 = false;               // the null answer takes part
};

/// A feature as the search sees it: logits of all positions, and the characters of the context's tokens, which begin at `context_begin`.
struct AnswerFeature {
  std::span<const float> start, end;
  std::int64_t context_begin = 0;
  std::vector<TextRange> ranges;
};

struct AnswerCandidate {
  std::string text;
  float start_logit = 0, end_logit = 0;
  double probability = 0;  // softmax over the scores of the n best
};

struct FoundAnswer {
  std::string text;                     // the prediction
  std::string best_text;                // v2: the best answer that is not null
  double null_difference = 0;           // v2: null score - score of the best answer that is not null
  std::vector<AnswerCandidate> n_best;  // falling score
};

/// Of every feature the n_best starts and n_best ends with the highest logits (of equal ones the lower position); pairs of both inside
/// the context, end not before start and at most max_answer tokens. score = start logit + end logit, in fp32; the n_best highest of all
/// features, ties in the order found. v2: the null score is the least start[0] + end[0] over the features, and stands in the list. Without
/// any answer the text is "empty". Throws DivergenceError for a logit that is not finite. Local, deterministic.
FoundAnswer search_answer(const std::string& context, std::span<const AnswerFeature> features, const AnswerRules& rules);

/// Start and end logits of one feature, info().sequence each.
struct FeatureLogits {
  std::span<const float> start, end;
};

/// The same for question `number` of a feature file; logits(k) gives those of feature k. Local; thread-safe where `logits` is.
FoundAnswer search_answer(const FeatureFile& file, std::int64_t number, const std::function<FeatureLogits(std::int64_t)>& logits,
                          const AnswerRules& rules);

/// Answers of all questions, in the file's order.
std::vector<FoundAnswer> search_answers(const FeatureFile& file, const std::function<FeatureLogits(std::int64_t)>& logits,
                                        const AnswerRules& rules);

/// predictions.json, nbest_predictions.json and, for v2, null_odds.json in `folder`, in the form of the official scripts; not yet written.
std::vector<TextFile> answer_files(const std::filesystem::path& folder, const std::vector<SquadQuestion>& questions,
                                   const std::vector<FoundAnswer>& answers, const AnswerRules& rules);

}  // namespace strata
