// SQuAD by commands: JSON to a feature file, what inspect says of it, and predictions scored as the official scripts do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/support.hpp"

namespace strata::test {
namespace {
using nlohmann::json;
using ::testing::HasSubstr;

json asked(const std::string& id, const json& answers) {
  return {{"id", id}, {"question", "what is it?"}, {"answers", answers}, {"is_impossible", answers.empty()}};
}

/// Three questions about "Denver is by the sea", one of them unanswerable.
json small_squad() {
  const json sea = json::array({{{"text", "the sea"}, {"answer_start", 13}}});
  const json city = json::array({{{"text", "Denver"}, {"answer_start", 0}}});
  return {{"version", "v2.0"},
          {"data",
           {{{"paragraphs",
              {{{"context", "Denver is by the sea"}, {"qas", {asked("1", sea), asked("2", city), asked("3", json::array())}}}}}}}}};
}

class SquadCommands : public ::testing::Test {
 protected:
  void SetUp() override { write_file(folder_ / "squad.json", small_squad().dump()); }
  CommandResult strata(const std::string& arguments) const { return run_command(binary() + " " + arguments); }
  std::string path(const std::string& name) const { return folder_ / name; }
  CommandResult prepared(const std::string& more = "") const {
    return strata("prepare --prepare.format=squad --prepare.sequence=32 --prepare.stride=8 --prepare.input=" + path("squad.json") +
                  " --prepare.output=" + path("squad.h5") + " --tokenizer.path=" + data_file("tokenizer/small_bert").string() + " " + more);
  }
  TemporaryFolder folder_;
};

TEST_F(SquadCommands, PrepareAndInspect) {
  const CommandResult made = prepared();
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_EQ(made.out, path("squad.h5") + " 3 questions 3 features\n");
  EXPECT_THAT(made.err, HasSubstr("1 questions are marked unanswerable"));
  const CommandResult told = strata("inspect " + path("squad.h5") + " --verify");
  EXPECT_THAT(told.out, HasSubstr("feature file, version 1, of SQuAD 2.0"));
  EXPECT_THAT(told.out, HasSubstr("every checksum agrees"));
  EXPECT_EQ(json::parse(strata("inspect " + path("squad.h5") + " --json").out)["questions"], 3);
}

TEST_F(SquadCommands, PrepareRefusesWhatCannotBe) {
  EXPECT_THAT(prepared("--prepare.split=0.1").err, HasSubstr("SQuAD comes with validation files of its own"));
  EXPECT_THAT(prepared("--tokenizer.train=true").err, HasSubstr("SQuAD needs a WordPiece vocabulary"));
  write_file(folder_ / "squad.json", "{\"data\": [");
  const CommandResult broken = prepared();
  EXPECT_EQ(broken.status, 3);
  EXPECT_THAT(broken.err, HasSubstr("squad.json: the JSON is broken"));
}

TEST_F(SquadCommands, ScoresWithoutAModel) {
  write_file(folder_ / "predictions.json", R"({"1": "by the sea.", "2": "denver", "3": "x", "else": "y"})");
  write_file(folder_ / "null_odds.json", R"({"1": -4, "2": -2.5, "3": 1, "else": 0})");
  const std::string command =
      "evaluate --evaluate.score=" + path("predictions.json") + " --evaluate.references=" + path("squad.json") + " ";
  const CommandResult scored =
      strata(command + "--json --evaluate.output=" + path("out/evaluation.json") + " --evaluate.null_odds=" + path("null_odds.json"));
  ASSERT_EQ(scored.status, 0) << scored.err;
  const json result = json::parse(scored.out);
  EXPECT_EQ(result, json::parse(read_file(folder_ / "out/evaluation.json")));
  // By hand with evaluate-v2.0: "by sea" against "sea" has F1 2/3; "" everywhere but the first two is best.
  EXPECT_EQ(result["exact_match"], 100.0 * 1 / 3);
  EXPECT_EQ(result["f1"], 100.0 * (2.0 / 3 + 1) / 3);
  EXPECT_EQ(result["total"], 3);
  EXPECT_EQ(result["HasAns_exact"], 50);
  EXPECT_EQ(result["NoAns_f1"], 0);
  EXPECT_EQ(result["NoAns_total"], 1);
  EXPECT_EQ(result["best_exact"], 100.0 * 2 / 3);
  EXPECT_EQ(result["best_exact_thresh"], -2.5);
  EXPECT_THAT(scored.err, HasSubstr("1 predictions are of questions that the references do not have"));
  EXPECT_THAT(strata(command).out, HasSubstr("exact_match    33.33  (95 % interval"));
}

TEST_F(SquadCommands, ScoringNamesWhatIsMissing) {
  write_file(folder_ / "predictions.json", R"({"1": "x"})");
  EXPECT_THAT(strata("evaluate --evaluate.score=" + path("predictions.json")).err, HasSubstr("evaluate.references is missing"));
  EXPECT_THAT(strata("evaluate --evaluate.references=a.json --evaluate.data=b.h5").err, HasSubstr("name predictions in evaluate.score"));
  const CommandResult absent = strata("evaluate --evaluate.score=" + path("nowhere.json") + " --evaluate.references=" + path("squad.json"));
  EXPECT_EQ(absent.status, 3);
  EXPECT_THAT(absent.err, HasSubstr("nowhere.json"));
  EXPECT_THAT(strata("evaluate --evaluate.score=" + path("predictions.json") + " --evaluate.references=" + path("squad.json")).err,
              HasSubstr("2 of 3 questions have no prediction"));
}

}  // namespace
}  // namespace strata::test
