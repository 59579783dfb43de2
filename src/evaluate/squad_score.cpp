// Scores of a whole set: means in the official order, groups of v2.0, intervals, thresholds.
#include "strata/evaluate/squad_score.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "strata/tensor/random.hpp"

namespace strata {
namespace {

double percent(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;  // in order, as Python's sum
  return 100.0 * sum / static_cast<double>(values.size());
}

/// Percentiles 2.5 and 97.5 of means over questions drawn with replacement.
void set_interval(const std::vector<double>& values, std::uint64_t seed, std::int64_t resamples, Percentage& result) {
  if (resamples < 1) return;
  std::vector<double> means;
  const auto n = static_cast<std::uint64_t>(values.size());
  for (std::int64_t b = 0; b < resamples; ++b) {
    double sum = 0;
    for (std::uint64_t i = 0; i < n; i += 4) {
      const auto bits = random_bits(seed, RandomPurpose::bootstrap, static_cast<std::uint64_t>(b), i / 4);
      for (std::uint64_t k = 0; k < std::min<std::uint64_t>(4, n - i); ++k) sum += values[bits[k] * n >> 32];
    }
    means.push_back(100.0 * sum / static_cast<double>(n));
  }
  std::sort(means.begin(), means.end());
  const auto outside = static_cast<std::size_t>(resamples) / 40;  // 2.5 % at each end
  result.low = means[outside], result.high = means[means.size() - 1 - outside];
}

struct Lists {
  std::vector<double> exact, f1;
  void add(const AnswerScore& score) { exact.push_back(score.exact), f1.push_back(score.f1); }
};

GroupScore group_of(const Lists& lists, std::uint64_t seed, std::int64_t resamples) {
  GroupScore group;
  group.total = static_cast<std::int64_t>(lists.exact.size());
  if (group.total == 0) return group;
  group.exact.value = percent(lists.exact), group.f1.value = percent(lists.f1);
  set_interval(lists.exact, seed, resamples, group.exact);
  set_interval(lists.f1, seed, resamples, group.f1);
  return group;
}

/// find_best_thresh of evaluate-v2.0: from "" everywhere, question by question in order of their difference.
BestThreshold best_threshold(const std::vector<SquadQuestion>& questions, const std::vector<NullChoice>& choices,
                             const std::vector<double>& scores) {
  std::vector<std::size_t> order(questions.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return choices[a].null_difference < choices[b].null_difference; });
  double current = 0;
  for (const SquadQuestion& question : questions) current += question.answers.empty();
  BestThreshold best{current, 0};
  for (const std::size_t q : order) {
    if (!questions[q].answers.empty())
      current += scores[q];
    else if (!choices[q].best_text.empty())
      current -= 1;
    if (current > best.value) best = {current, choices[q].null_difference};
  }
  best.value = 100.0 * best.value / static_cast<double>(questions.size());
  return best;
}

}  // namespace

SquadScores score_squad(const std::vector<SquadQuestion>& questions, bool v2,
                        const std::unordered_map<std::string, std::string>& predictions, std::uint64_t seed, std::int64_t resamples) {
  SquadScores scores;
  scores.v2 = v2;
  Lists all, has, none;
  for (const SquadQuestion& question : questions) {
    if (!v2 && question.answers.empty())
      throw DataError(text("question '", question.id, "' has no answers to compare with: SQuAD v1.1 is scored against references with ",
                           "answers (dev-v1.1.json); a file with unanswerable questions says \"version\": \"v2.0\""));
    const auto found = predictions.find(question.id);
    scores.missing += found == predictions.end();
    if (found == predictions.end() && v2) continue;
    const AnswerScore score = found == predictions.end() ? AnswerScore() : score_answer(found->second, question.answers, v2);
    all.add(score);
    if (v2) (question.answers.empty() ? none : has).add(score);
  }
  if (all.exact.empty())
    throw DataError(text("none of the ", questions.size(), " questions has a prediction: do predictions and references belong together?"));
  scores.all = group_of(all, seed, resamples);
  scores.has_answer = group_of(has, seed, resamples), scores.no_answer = group_of(none, seed, resamples);
  return scores;
}

void search_thresholds(const std::vector<SquadQuestion>& questions, const std::vector<NullChoice>& choices, SquadScores& scores) {
  STRATA_ASSERT(questions.size() == choices.size() && !questions.empty(), questions.size(), " questions, ", choices.size(), " choices");
  std::vector<double> exact, f1;
  for (std::size_t q = 0; q < questions.size(); ++q) {
    const AnswerScore score = score_answer(choices[q].best_text, questions[q].answers, true);
    exact.push_back(score.exact), f1.push_back(score.f1);
  }
  scores.best_exact = best_threshold(questions, choices, exact);
  scores.best_f1 = best_threshold(questions, choices, f1);
}

namespace {

nlohmann::json read_object(const std::filesystem::path& path, const char* expected) {
  const std::string content = read_text(path, std::int64_t{4} << 30);
  nlohmann::json root;
  try {
    root = nlohmann::json::parse(content);
  } catch (const nlohmann::json::exception& error) {
    throw DataError(text(path.string(), ": the JSON is broken: ", error.what(), "; expected ", expected));
  }
  if (!root.is_object()) throw DataError(text(path.string(), ": expected ", expected, ", found ", root.type_name()));
  return root;
}

}  // namespace

std::unordered_map<std::string, double> read_null_odds(const std::filesystem::path& path) {
  const nlohmann::json root = read_object(path, "null odds, {\"id\": number, ...}");
  std::unordered_map<std::string, double> odds;
  for (const auto& [id, value] : root.items()) {
    if (!value.is_number())
      throw DataError(text(path.string(), ": the entry of '", id.substr(0, 80), "' is expected to be a number, found ", value.type_name()));
    odds.emplace(id, value.get<double>());
  }
  return odds;
}

std::unordered_map<std::string, std::string> read_predictions(const std::filesystem::path& path) {
  const nlohmann::json root = read_object(path, "predictions, {\"id\": \"answer\", ...}");
  std::unordered_map<std::string, std::string> predictions;
  for (const auto& [id, answer] : root.items()) {
    if (!answer.is_string())
      throw DataError(text(path.string(), ": the prediction of '", id.substr(0, 80), "' is expected to be a text, found ",
                           answer.type_name(), answer.is_array() ? " (the n-best file is another one)" : ""));
    predictions.emplace(id, answer.get<std::string>());
  }
  return predictions;
}

std::string scores_text(const SquadScores& scores) {
  std::string result;
  const auto line = [&](const char* name, const Percentage& p) {
    char words[128];
    std::snprintf(words, sizeof words, "%-14s %.2f  (95 %% interval %.2f to %.2f)\n", name, p.value, p.low, p.high);
    result += words;
  };
  line("exact_match", scores.all.exact), line("f1", scores.all.f1);
  result += text("total          ", scores.all.total, "\n");
  const auto group = [&](const char* name, const GroupScore& of) {
    if (of.total == 0) return;
    line(text(name, "exact").c_str(), of.exact), line(text(name, "f1").c_str(), of.f1);
    result += text(name, "total   ", of.total, "\n");
  };
  group("HasAns_", scores.has_answer), group("NoAns_", scores.no_answer);
  if (scores.best_exact) result += text("best_exact     ", scores.best_exact->value, " at threshold ", scores.best_exact->threshold, "\n");
  if (scores.best_f1) result += text("best_f1        ", scores.best_f1->value, " at threshold ", scores.best_f1->threshold, "\n");
  return result;
}

std::string scores_json(const SquadScores& scores) {
  nlohmann::ordered_json json{{"exact_match", scores.all.exact.value}, {"f1", scores.all.f1.value}, {"total", scores.all.total}};
  json["exact_match_interval"] = {scores.all.exact.low, scores.all.exact.high};
  json["f1_interval"] = {scores.all.f1.low, scores.all.f1.high};
  json["missing"] = scores.missing;
  const auto group = [&](const std::string& name, const GroupScore& of) {
    if (of.total == 0) return;
    json[name + "exact"] = of.exact.value, json[name + "f1"] = of.f1.value, json[name + "total"] = of.total;
  };
  group("HasAns_", scores.has_answer), group("NoAns_", scores.no_answer);
  const auto best = [&](const std::string& name, const std::optional<BestThreshold>& of) {
    if (of) json[name] = of->value, json[name + "_thresh"] = of->threshold;
  };
  best("best_exact", scores.best_exact), best("best_f1", scores.best_f1);
  return json.dump(1) + "\n";
}

}  // namespace strata
