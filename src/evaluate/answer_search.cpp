// Answer search: the steps of Hugging Face's postprocess_qa_predictions, with fp32 sums and a stable order.
#include "strata/evaluate/answer_search.hpp"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {

struct Candidate {
  float score = 0, start_logit = 0, end_logit = 0;
  TextRange at;
  bool null = false;
};

/// The positions of the highest logits, falling; of equal ones the lower position first.
std::vector<std::int64_t> highest(std::span<const float> logits, std::int64_t count) {
  std::vector<std::int64_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  const auto kept = static_cast<std::ptrdiff_t>(std::min<std::size_t>(order.size(), static_cast<std::size_t>(count)));
  std::partial_sort(order.begin(), order.begin() + kept, order.end(), [&](std::int64_t a, std::int64_t b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  });
  order.resize(static_cast<std::size_t>(kept));
  return order;
}

void check_finite(std::span<const float> logits, const char* what, std::size_t feature) {
  const auto bad = std::find_if(logits.begin(), logits.end(), [](float value) { return !std::isfinite(value); });
  if (bad != logits.end())
    throw DivergenceError(text("the ", what, " logit of position ", bad - logits.begin(), " of the question's feature ", feature, " is ",
                               *bad, ": the model's weights are not finite, or an activation overflowed"));
}

const TextRange* range_at(const AnswerFeature& feature, std::int64_t position) {
  const std::int64_t token = position - feature.context_begin;
  return token >= 0 && token < static_cast<std::int64_t>(feature.ranges.size()) ? &feature.ranges[static_cast<std::size_t>(token)]
                                                                                : nullptr;
}

void add_candidates(const AnswerFeature& feature, const AnswerRules& rules, std::vector<Candidate>& found) {
  const std::vector<std::int64_t> starts = highest(feature.start, rules.n_best), ends = highest(feature.end, rules.n_best);
  for (const std::int64_t i : starts)
    for (const std::int64_t j : ends) {
      const TextRange *first = range_at(feature, i), *last = range_at(feature, j);
      if (!first || !last || j < i || j - i + 1 > rules.max_answer) continue;
      const float start = feature.start[static_cast<std::size_t>(i)], end = feature.end[static_cast<std::size_t>(j)];
      found.push_back({start + end, start, end, {first->first, last->end}, false});
    }
}

/// The least null score over the features, the first of equal ones.
Candidate null_of(std::span<const AnswerFeature> features) {
  std::optional<Candidate> null;
  for (const AnswerFeature& feature : features)
    if (const float score = feature.start[0] + feature.end[0]; !null || null->score > score)
      null = Candidate{score, feature.start[0], feature.end[0], {}, true};
  return *null;
}

/// Falling score, the n best, the null answer among them in any case.
void keep_best(std::vector<Candidate>& found, const Candidate& null, const AnswerRules& rules) {
  if (rules.v2) found.push_back(null);
  std::stable_sort(found.begin(), found.end(), [](const Candidate& a, const Candidate& b) { return a.score > b.score; });
  if (static_cast<std::int64_t>(found.size()) > rules.n_best) found.resize(static_cast<std::size_t>(rules.n_best));
  if (rules.v2 && std::none_of(found.begin(), found.end(), [](const Candidate& c) { return c.null; })) found.push_back(null);
}

void set_probabilities(std::vector<AnswerCandidate>& list, const std::vector<float>& scores) {
  const float highest_score = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  for (std::size_t k = 0; k < list.size(); ++k) {
    list[k].probability = std::exp(static_cast<double>(scores[k]) - static_cast<double>(highest_score));
    total += list[k].probability;
  }
  for (AnswerCandidate& candidate : list) candidate.probability /= total;
}

std::vector<AnswerCandidate> listed(const Characters& characters, const std::vector<Candidate>& found) {
  std::vector<AnswerCandidate> list;
  std::vector<float> scores;
  for (const Candidate& candidate : found) {
    list.push_back({std::string(characters.between(candidate.at.first, candidate.at.end)), candidate.start_logit, candidate.end_logit, 0});
    scores.push_back(candidate.score);
  }
  if (list.empty() || (list.size() == 1 && list[0].text.empty())) {
    list.insert(list.begin(), AnswerCandidate{"empty", 0, 0, 0});
    scores.insert(scores.begin(), 0.0f);
  }
  set_probabilities(list, scores);
  return list;
}

}  // namespace

FoundAnswer search_answer(const std::string& context, std::span<const AnswerFeature> features, const AnswerRules& rules) {
  STRATA_ASSERT(!features.empty(), "a question without features");
  std::vector<Candidate> found;
  for (std::size_t k = 0; k < features.size(); ++k) {
    check_finite(features[k].start, "start", k), check_finite(features[k].end, "end", k);
    add_candidates(features[k], rules, found);
  }
  const Candidate null = null_of(features);
  keep_best(found, null, rules);
  FoundAnswer answer;
  answer.n_best = listed(Characters(context), found);
  answer.text = answer.best_text = answer.n_best[0].text;
  if (!rules.v2) return answer;
  const auto real = std::find_if(answer.n_best.begin(), answer.n_best.end(), [](const AnswerCandidate& c) { return !c.text.empty(); });
  const AnswerCandidate best = real == answer.n_best.end() ? AnswerCandidate{"empty", 0, 0, 0} : *real;
  answer.best_text = best.text;
  answer.null_difference = static_cast<double>(null.score - best.start_logit - best.end_logit);
  answer.text = answer.null_difference > rules.null_threshold ? "" : best.text;
  return answer;
}

FoundAnswer search_answer(const FeatureFile& file, std::int64_t number, const std::function<FeatureLogits(std::int64_t)>& logits,
                          const AnswerRules& rules) {
  const auto [first, end] = file.features_of(number);
  std::vector<AnswerFeature> features;
  for (std::int64_t k = first; k < end; ++k) {
    const Feature of = file.feature(k);
    const FeatureLogits given = logits(k);
    AnswerFeature feature{given.start, given.end, of.used - 1 - of.span.count, {}};
    STRATA_ASSERT(static_cast<std::int64_t>(given.start.size()) == file.info().sequence && given.end.size() == given.start.size(),
                  given.start.size(), " and ", given.end.size(), " logits in rows of ", file.info().sequence);
    for (std::int64_t i = 0; i < of.span.count; ++i) feature.ranges.push_back(file.range(k, feature.context_begin + i));
    features.push_back(std::move(feature));
  }
  return search_answer(file.context(file.question(number).context), features, rules);
}

std::vector<FoundAnswer> search_answers(const FeatureFile& file, const std::function<FeatureLogits(std::int64_t)>& logits,
                                        const AnswerRules& rules) {
  std::vector<FoundAnswer> answers;
  for (std::int64_t q = 0; q < file.info().questions; ++q) answers.push_back(search_answer(file, q, logits, rules));
  return answers;
}

std::vector<TextFile> answer_files(const std::filesystem::path& folder, const std::vector<SquadQuestion>& questions,
                                   const std::vector<FoundAnswer>& answers, const AnswerRules& rules) {
  STRATA_ASSERT(questions.size() == answers.size(), questions.size(), " questions, ", answers.size(), " answers");
  using nlohmann::ordered_json;
  ordered_json predictions = ordered_json::object(), lists = ordered_json::object(), odds = ordered_json::object();
  for (std::size_t q = 0; q < questions.size(); ++q) {
    const std::string& id = questions[q].id;
    predictions.emplace(id, answers[q].text);
    ordered_json list = ordered_json::array();
    for (const AnswerCandidate& c : answers[q].n_best)
      list.push_back({{"text", c.text}, {"probability", c.probability}, {"start_logit", c.start_logit}, {"end_logit", c.end_logit}});
    lists.emplace(id, std::move(list));
    if (rules.v2) odds.emplace(id, answers[q].null_difference);
  }
  std::vector<TextFile> files;
  const auto add = [&](const char* name, const ordered_json& content) { files.push_back({folder / name, content.dump(4) + "\n"}); };
  add("predictions.json", predictions);
  add("nbest_predictions.json", lists);
  if (rules.v2) add("null_odds.json", odds);
  return files;
}

}  // namespace strata
