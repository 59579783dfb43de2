#pragma once
// SQuAD scores: exact match and F1 as the official scripts evaluate-v1.1 and evaluate-v2.0 compute them (semantics S11), and how sure they
// are.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "strata/data/squad.hpp"

namespace strata {

/// The words of an answer that count: in small letters, without ASCII punctuation and the words a, an, the, split at blanks. Joined by
/// single blanks they are what the scripts compare.
std::vector<std::string> answer_words(const std::string& answer);

/// 1 or 0.
double exact_match(const std::string& prediction, const std::string& gold);
/// F1 of the bags of words. v2: where a side has no words, 1 if both have none, else 0.
double answer_f1(const std::string& prediction, const std::string& gold, bool v2);

/// The best over the gold answers. v2: those without words are dropped, and none left means "".
struct AnswerScore {
  double exact = 0, f1 = 0;
};
AnswerScore score_answer(const std::string& prediction, const std::vector<SquadAnswer>& golds, bool v2);

/// Percent, with the 95 % interval that resampling the questions gives.
struct Percentage {
  double value = 0, low = 0, high = 0;
};

struct GroupScore {
  std::int64_t total = 0;
  Percentage exact, f1;
};

/// The null threshold that gives the best score, and that score [percent]; as the official script searches it.
struct BestThreshold {
  double value = 0, threshold = 0;
};

struct SquadScores {
  bool v2 = false;
  GroupScore all, has_answer, no_answer;             // the last two: v2 only
  std::int64_t missing = 0;                          // questions without a prediction: v1.1 counts 0 for them, v2.0 leaves them out
  std::optional<BestThreshold> best_exact, best_f1;  // v2, where null differences are known
};

/// Scores the questions in their order. DataError where a question of v1.1 has no answers to compare with, and where nothing is left to
/// score. The intervals are percentiles of `resamples` draws of as many questions, by Philox with `seed`: the same everywhere. Local.
SquadScores score_squad(const std::vector<SquadQuestion>& questions, bool v2,
                        const std::unordered_map<std::string, std::string>& predictions, std::uint64_t seed, std::int64_t resamples = 1000);

/// One question's answer that is not null, and how much higher its null score is.
struct NullChoice {
  std::string best_text;
  double null_difference = 0;
};

/// Adds best_exact and best_f1: the threshold t over the differences for which "" where the difference is above t, else the best answer
/// that is not null, scores highest; 0 where no threshold is better than "" everywhere. `choices` are in the order of `questions`.
void search_thresholds(const std::vector<SquadQuestion>& questions, const std::vector<NullChoice>& choices, SquadScores& scores);

/// A predictions file in the official form, {"id": "text", ...}. DataError with file and id.
std::unordered_map<std::string, std::string> read_predictions(const std::filesystem::path& path);

/// null_odds.json, {"id": number, ...}. DataError with file and id.
std::unordered_map<std::string, double> read_null_odds(const std::filesystem::path& path);

/// For people, and as one JSON object: exact_match, f1, total, intervals; v2: HasAns_exact, HasAns_f1, HasAns_total, NoAns_..., best_...
std::string scores_text(const SquadScores& scores);
std::string scores_json(const SquadScores& scores);

}  // namespace strata
