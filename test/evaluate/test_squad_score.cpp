// SQuAD scores equal the official scripts', to the last digit; intervals and thresholds.
#include "strata/evaluate/squad_score.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "strata/base/error.hpp"
#include "strata/tokenizer/python_text.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string normalised(const std::string& answer) {
  std::string result;
  for (const std::string& word : answer_words(answer)) result += (result.empty() ? "" : " ") + word;
  return result;
}

SquadQuestion asked(const std::string& id, const std::vector<std::string>& golds) {
  SquadQuestion question{id, "?", {}, golds.empty(), 0};
  for (const std::string& gold : golds) question.answers.push_back({gold, 0});
  return question;
}

TEST(AnswerWords, ArticlesPunctuationAndBlanksGo) {
  EXPECT_THAT(answer_words("The U.S., an  Apple\t(a-b)"), ElementsAre("us", "apple", "ab"));
  EXPECT_THAT(answer_words("theend the\xc2\xa0"
                           "end"),
              ElementsAre("theend", "end"));
  EXPECT_THAT(answer_words("... a"), ElementsAre());
}

TEST(AnswerWords, SigmaIsFinalAtTheEndOfAWord) {
  const auto lower = [](const std::string& words) { return utf8_text(python_lower(code_points(words))); };
  EXPECT_EQ(lower("\xce\x9f\xce\x94\xce\x9f\xce\xa3"), "\xce\xbf\xce\xb4\xce\xbf\xcf\x82");  // word-final
  EXPECT_EQ(lower("\xce\xa3"), "\xcf\x83") << "nothing before it";
  EXPECT_EQ(lower("A\xce\xa3'\xce\x91"), "a\xcf\x83'\xce\xb1") << "an apostrophe does not end the word";
  EXPECT_EQ(lower("\xc4\xb0"), "i\xcc\x87") << "one letter becomes two";
}

TEST(SquadScore, BothSidesWithoutWords) {
  EXPECT_EQ(answer_f1("the", "a", false), 0);
  EXPECT_EQ(answer_f1("the", "a", true), 1);
  EXPECT_EQ(score_answer("", {}, true).exact, 1);
  EXPECT_EQ(score_answer("x", {{"the", 0}}, true).f1, 0) << "a gold without words is dropped";
}

TEST(SquadScore, MeansGroupsAndWhatIsMissing) {
  const std::vector<SquadQuestion> questions{asked("1", {"cat"}), asked("2", {"the dog", "dog house"}), asked("3", {}), asked("4", {})};
  const SquadScores scores = score_squad(questions, true, {{"1", "cat"}, {"2", "dog pen"}, {"3", ""}}, 42);
  EXPECT_EQ(scores.all.total, 3);
  EXPECT_EQ(scores.missing, 1);
  EXPECT_DOUBLE_EQ(scores.all.exact.value, 100.0 * 2 / 3);
  EXPECT_DOUBLE_EQ(scores.has_answer.f1.value, 100.0 * (1 + 2.0 / 3) / 2);
  EXPECT_EQ(scores.no_answer.exact.value, 100);
  const SquadScores first = score_squad({questions[0], questions[1]}, false, {{"1", "cat"}}, 42);
  EXPECT_EQ(first.all.exact.value, 50) << "v1.1 counts 0 for a question without a prediction";
  EXPECT_EQ(first.missing, 1);
  EXPECT_THROW(score_squad({questions[2]}, false, {{"3", "x"}}, 42), DataError);
  EXPECT_THROW(score_squad({questions[2]}, true, {{"9", "x"}}, 42), DataError);
}

TEST(SquadScore, IntervalsHoldTheValueAndShrinkWithTheQuestions) {
  std::vector<SquadQuestion> questions;
  std::unordered_map<std::string, std::string> predictions;
  for (int i = 0; i < 400; ++i) {
    questions.push_back(asked(std::to_string(i), {"cat"}));
    predictions[std::to_string(i)] = i % 4 == 0 ? "dog" : "cat";
  }
  const SquadScores scores = score_squad(questions, false, predictions, 42), again = score_squad(questions, false, predictions, 42);
  EXPECT_EQ(scores.all.exact.value, 75);
  EXPECT_NEAR(scores.all.exact.high - scores.all.exact.low, 2 * 1.96 * 100 * std::sqrt(0.75 * 0.25 / 400),
              1.0);  // the normal approximation
  EXPECT_LT(scores.all.exact.low, 75);
  EXPECT_GT(scores.all.exact.high, 75);
  EXPECT_EQ(scores.all.f1.low, again.all.f1.low);
  EXPECT_NE(score_squad(questions, false, predictions, 43).all.exact.low + score_squad(questions, false, predictions, 44).all.exact.low,
            2 * scores.all.exact.low);
}

TEST(SquadScore, TheBestThresholdIsTheOneThatScoresHighest) {
  const std::vector<SquadQuestion> questions{asked("1", {"cat"}), asked("2", {}), asked("3", {"dog"}), asked("4", {})};
  const std::vector<NullChoice> choices{{"cat", -3}, {"x", -1}, {"dog", 0.5}, {"y", 2}};
  SquadScores scores;
  search_thresholds(questions, choices, scores);
  // "" everywhere: 2; below -3 inclusive: 3; -1: 2; 0.5: 3; 2: 2. The first of the highest counts.
  EXPECT_EQ(scores.best_exact->value, 75);
  EXPECT_EQ(scores.best_exact->threshold, -3);
  double highest = 0;
  for (const double threshold : {-9.0, -3.0, -1.0, 0.5, 2.0}) {
    std::unordered_map<std::string, std::string> predictions;
    for (std::size_t q = 0; q < 4; ++q) predictions[questions[q].id] = choices[q].null_difference > threshold ? "" : choices[q].best_text;
    highest = std::max(highest, score_squad(questions, true, predictions, 1, 0).all.exact.value);
  }
  EXPECT_EQ(highest, scores.best_exact->value);
}

TEST(SquadScore, PredictionFilesThatAreNoneAreNamed) {
  TemporaryFolder folder;
  const auto message = [&](const std::string& content) {
    write_file(folder / "p.json", content);
    try {
      read_predictions(folder / "p.json");
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message("{\"a\": "), HasSubstr("p.json: the JSON is broken"));
  EXPECT_THAT(message("[]"), HasSubstr("expected predictions, {\"id\": \"answer\", ...}, found array"));
  EXPECT_THAT(message("{\"q\": [{}]}"), HasSubstr("the prediction of 'q' is expected to be a text, found array (the n-best file"));
}

class SquadReference : public ::testing::Test {
 protected:
  void SetUp() override {
    if (shared_dir().empty()) GTEST_SKIP() << "the references in shared/ are not beside the repository";
    reference_ = json::parse(read_file(shared_dir() / "golden/text/squad_postprocess.json"));
  }
  json reference_;
};

TEST_F(SquadReference, Pairs) {
  for (const json& pair : reference_["pairs"]) {
    std::vector<SquadAnswer> golds;
    for (const json& gold : pair["golds"]) golds.push_back({gold.get<std::string>(), 0});
    const std::string prediction = pair["prediction"];
    EXPECT_EQ(normalised(prediction), pair["normalised"].get<std::string>()) << pair.dump();
    const AnswerScore second = score_answer(prediction, golds, true);
    EXPECT_EQ(second.exact, pair["em_v2"].get<double>()) << pair.dump();
    EXPECT_EQ(second.f1, pair["f1_v2"].get<double>()) << pair.dump();
    if (!pair.contains("em")) continue;
    const AnswerScore first = score_answer(prediction, golds, false);
    EXPECT_EQ(first.exact, pair["em"].get<double>()) << pair.dump();
    EXPECT_EQ(first.f1, pair["f1"].get<double>()) << pair.dump();
  }
}

TEST_F(SquadReference, PublishedSystemToTheLastDigit) {
  for (const json& published : reference_["published"]) {
    const SquadData squad = read_squad({shared_dir() / "data" / published["questions"].get<std::string>()}, {});
    const auto predictions = read_predictions(shared_dir() / "data" / published["predictions"].get<std::string>());
    const SquadScores scores = score_squad(squad.questions, squad.v2, predictions, 42, 100);
    EXPECT_EQ(scores.all.total, published["count"].get<std::int64_t>());
    EXPECT_EQ(scores.all.exact.value, published["exact_match"].get<double>());
    EXPECT_EQ(scores.all.f1.value, published["f1"].get<double>());
    const json printed = json::parse(scores_json(scores));
    EXPECT_EQ(printed["exact_match"], published["exact_match"]);
    EXPECT_EQ(printed["f1"], published["f1"]);
  }
}

}  // namespace
}  // namespace strata::test
