// Scores a predictions file against SQuAD references: rank 0 works, the others wait.
#include "commands/score_predictions.hpp"

#include <cstdio>
#include <filesystem>

#include "strata/base/error.hpp"
#include "strata/base/log.hpp"
#include "strata/data/text_reader.hpp"
#include "strata/evaluate/squad_score.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {

using Predictions = std::unordered_map<std::string, std::string>;

// As evaluate-v2.0 with --na-prob-file: over the questions that have a prediction.
void search_given_thresholds(const SquadData& squad, const Predictions& predictions, const std::string& path, SquadScores& scores) {
  const auto odds = read_null_odds(path);
  std::vector<SquadQuestion> questions;
  std::vector<NullChoice> choices;
  for (const SquadQuestion& question : squad.questions) {
    const auto prediction = predictions.find(question.id);
    if (prediction == predictions.end()) continue;
    const auto difference = odds.find(question.id);
    if (difference == odds.end())
      throw DataError(text(path, ": there is no entry for the question '", question.id, "', which has a prediction"));
    questions.push_back(question);
    choices.push_back({prediction->second, difference->second});
  }
  search_thresholds(questions, choices, scores);
}

SquadScores scores_of(const Settings& s) {
  const auto predictions = read_predictions(s.evaluate.score);
  SquadRules rules;
  rules.checks = false;  // the official scripts do not look at offsets either
  const SquadData squad = read_squad(expand_inputs(s.evaluate.references), rules);
  SquadScores scores = score_squad(squad.questions, squad.v2, predictions, s.run.seed);
  if (!s.evaluate.null_odds.empty() && !squad.v2)
    throw DeckError("evaluate.null_odds is for SQuAD 2.0, and the references are of v1.1: leave it out");
  if (!s.evaluate.null_odds.empty()) search_given_thresholds(squad, predictions, s.evaluate.null_odds, scores);
  if (scores.missing > 0)
    log_warning(text(scores.missing, " of ", squad.questions.size(), " questions have no prediction in ", s.evaluate.score,
                     squad.v2 ? ": they are left out, as evaluate-v2.0 does" : ": each counts 0, as in evaluate-v1.1"));
  const auto used = static_cast<std::int64_t>(squad.questions.size()) - scores.missing;
  if (static_cast<std::int64_t>(predictions.size()) > used)
    log_info(text(static_cast<std::int64_t>(predictions.size()) - used, " predictions are of questions that the references do not have"));
  return scores;
}

}  // namespace

int score_predictions(Session& session) {
  const Settings& s = session.settings();
  guarded(session.comm, [&] {
    if (session.comm.rank() != 0) return;
    const SquadScores scores = scores_of(s);
    const std::string json = scores_json(scores);
    if (!s.evaluate.output.empty()) {
      make_folders(std::filesystem::absolute(s.evaluate.output).parent_path());
      write_text_atomically(s.evaluate.output, json);
    }
    std::fputs((session.line.json ? json : scores_text(scores)).c_str(), stdout);
  });
  return 0;
}

}  // namespace strata
