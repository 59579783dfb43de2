// Answer search: the n-best lists, null handling and predictions recorded in shared/golden/text, and small cases by hand.
#include "strata/evaluate/answer_search.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "strata/base/error.hpp"
#include "strata/data/prepare.hpp"
#include "strata/evaluate/squad_score.hpp"
#include "strata/tokenizer/tokenizer.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {
using nlohmann::json;

/// "ab cd ef" in a row [CLS] q [SEP] ab cd ef [SEP].
struct SmallRow {
  std::vector<float> start = std::vector<float>(7, -9), end = std::vector<float>(7, -9);
  AnswerFeature feature() const { return {start, end, 3, {{0, 2}, {3, 5}, {6, 8}}}; }
};
const std::string small_context = "ab cd ef";

TEST(AnswerSearch, TakesTheBestPairInsideTheContext) {
  SmallRow row;
  row.start[4] = 2, row.end[5] = 3, row.start[1] = 50, row.end[6] = 50;
  const std::vector<AnswerFeature> features{row.feature()};
  const FoundAnswer found = search_answer(small_context, features, {});
  EXPECT_EQ(found.text, "cd ef");
  EXPECT_EQ(found.n_best[0].start_logit, 2);
  double total = 0;
  for (const AnswerCandidate& candidate : found.n_best) total += candidate.probability;
  EXPECT_NEAR(total, 1, 1e-12);
}

TEST(AnswerSearch, EndBeforeStartAndTooLongAnswersAreNone) {
  SmallRow row;
  row.start[5] = 9, row.end[3] = 9, row.start[3] = 1;
  row.end[5] = 1;
  const std::vector<AnswerFeature> features{row.feature()};
  EXPECT_EQ(search_answer(small_context, features, {}).text, "ef");
  EXPECT_EQ(search_answer(small_context, features, {20, 2}).n_best.size(), 5u) << "of six pairs the one of three tokens is too long";
}

TEST(AnswerSearch, NoCandidateIsEmpty) {
  SmallRow row;
  row.start[0] = row.end[0] = 5;
  const std::vector<AnswerFeature> features{row.feature()};
  AnswerRules rules{1, 30};
  EXPECT_EQ(search_answer(small_context, features, rules).text, "empty");
  rules.v2 = true;
  const FoundAnswer found = search_answer(small_context, features, rules);
  EXPECT_EQ(found.text, "");
  EXPECT_EQ(found.best_text, "empty");
  EXPECT_EQ(found.null_difference, 10);
}

TEST(AnswerSearch, ValuesThatAreNotFiniteAreNamed) {
  SmallRow row;
  row.end[2] = std::numeric_limits<float>::quiet_NaN();
  const std::vector<AnswerFeature> features{row.feature()};
  EXPECT_THROW(search_answer(small_context, features, {}), DivergenceError);
}

class AnswerReference : public ::testing::Test {
 protected:
  void SetUp() override {
    if (shared_dir().empty()) GTEST_SKIP() << "the references in shared/ are not beside the repository";
    reference_ = json::parse(read_file(shared_dir() / "golden/text/squad_postprocess.json"));
    tokenizer_ = load_tokenizer(shared_dir() / "data/bert-base-uncased");
  }
  /// The case as a feature file of one question.
  FeatureFile prepared(const json& row) const {
    const json question{{"id", row["id"]}, {"question", row["question"]}, {"answers", json::array()}};
    const json squad{{"version", "1.1"}, {"data", {{{"paragraphs", {{{"context", row["context"]}, {"qas", {question}}}}}}}}};
    write_file(folder_ / "in.json", squad.dump());
    PrepareConfig config;
    config.format = "squad", config.input = {folder_ / "in.json"}, config.output = folder_ / "out.h5";
    config.sequence = row["max_length"], config.stride = row["stride"];
    PrepareTools tools;
    tools.tokenizer = tokenizer_.get();
    prepare(*make_self_communicator(), config, {}, tools);
    return FeatureFile(config.output);
  }
  TemporaryFolder folder_;
  json reference_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

std::vector<std::vector<float>> logits_of(const json& features, const char* name) {
  std::vector<std::vector<float>> all;
  for (const json& feature : features) {
    all.emplace_back();
    for (const int value : feature[name]) all.back().push_back(static_cast<float>(value) / 64);
  }
  return all;
}

TEST_F(AnswerReference, EveryRecordedCase) {
  std::int64_t count = 0;
  for (const json& row : reference_["cases"]) {
    SCOPED_TRACE(row["id"].get<std::string>());
    const FeatureFile file = prepared(row);
    const auto starts = logits_of(row["features"], "start_times_64"), ends = logits_of(row["features"], "end_times_64");
    ASSERT_EQ(file.info().features, static_cast<std::int64_t>(starts.size()));
    const auto logits = [&](std::int64_t k) {
      return FeatureLogits{starts[static_cast<std::size_t>(k)], ends[static_cast<std::size_t>(k)]};
    };
    AnswerRules rules;
    rules.v2 = row["v2"];
    const FoundAnswer found = search_answer(file, 0, logits, rules);
    EXPECT_EQ(found.text, row["prediction"].get<std::string>());
    ASSERT_EQ(found.n_best.size(), row["nbest"].size());
    for (std::size_t k = 0; k < found.n_best.size(); ++k) {
      const json& expected = row["nbest"][k];
      EXPECT_EQ(found.n_best[k].text, expected[0].get<std::string>()) << k;
      EXPECT_EQ(found.n_best[k].start_logit, expected[1].get<float>()) << k;
      EXPECT_EQ(found.n_best[k].end_logit, expected[2].get<float>()) << k;
      EXPECT_NEAR(found.n_best[k].probability, expected[3].get<double>(), 1e-6) << k;
    }
    if (row["golds"].size() > 0) {
      std::vector<SquadAnswer> golds;
      for (const json& gold : row["golds"]) golds.push_back({gold.get<std::string>(), 0});
      EXPECT_EQ(score_answer(found.text, golds, false).f1, row["f1"].get<double>());
      ++count;
    }
    if (!rules.v2) continue;
    EXPECT_EQ(found.null_difference, row["null_score_difference"].get<double>());
    for (const json& at : row["by_threshold"]) {
      rules.null_threshold = at[0];
      EXPECT_EQ(search_answer(file, 0, logits, rules).text, at[1].get<std::string>()) << at[0];
    }
  }
  EXPECT_EQ(count, reference_["mean"]["count"].get<std::int64_t>());
}

TEST_F(AnswerReference, FilesAreInTheOfficialForm) {
  const json& row = reference_["cases"][2];
  const FeatureFile file = prepared(row);
  const auto starts = logits_of(row["features"], "start_times_64"), ends = logits_of(row["features"], "end_times_64");
  AnswerRules rules;
  rules.v2 = true;
  const auto answers = search_answers(
      file,
      [&](std::int64_t k) {
        return FeatureLogits{starts[static_cast<std::size_t>(k)], ends[static_cast<std::size_t>(k)]};
      },
      rules);

  std::filesystem::create_directory(folder_ / "written");
  write_texts_atomically(answer_files(folder_ / "written", file.questions(), answers, rules));

  const auto predictions = read_predictions(folder_ / "written/predictions.json");
  EXPECT_EQ(predictions.at(row["id"].get<std::string>()), answers[0].text);
  const json lists = json::parse(read_file(folder_ / "written/nbest_predictions.json"));
  EXPECT_EQ(lists[row["id"].get<std::string>()].size(), answers[0].n_best.size());
  EXPECT_EQ(lists[row["id"].get<std::string>()][0]["text"], answers[0].n_best[0].text);
  const json odds = json::parse(read_file(folder_ / "written/null_odds.json"));
  EXPECT_EQ(odds[row["id"].get<std::string>()].get<double>(), answers[0].null_difference);
}

}  // namespace
}  // namespace strata::test
