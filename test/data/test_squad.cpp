// SQuAD: reading, what is wrong said with its place, and feature files that are the same for any number of ranks.
#include "strata/data/squad.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "data/fake_tokenizer.hpp"
#include "strata/base/error.hpp"
#include "strata/comm/communicator.hpp"
#include "strata/data/feature_loader.hpp"
#include "strata/data/prepare.hpp"
#include "strata/io/file.hpp"
#include "support/ranks_test.hpp"

namespace strata::test {
namespace {
using nlohmann::json;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

json question(const std::string& id, const std::string& words, const json& answers = json::array()) {
  return {{"id", id}, {"question", words}, {"answers", answers}};
}
json answer(const std::string& words, int start) {
  return json::array({{{"text", words}, {"answer_start", start}}});
}
json squad(const json& paragraphs, const char* version = "1.1") {
  return {{"version", version}, {"data", {{{"title", "T"}, {"paragraphs", paragraphs}}}}};
}

/// A folder that rank 0 makes and all ranks use.
class Squad : public RanksTest {
 protected:
  Squad() {
    config_.format = "squad", config_.stride = 8, config_.sequence = 32;
    config_.input = {(root_ / "in.json").string()}, config_.output = (root_ / "out" / "features.h5").string();
    tools_.tokenizer = tokenizer_.get(), tools_.tokenizer_name = "small_bert";
  }
  void write(const std::string& content) { RanksTest::write("in.json", content); }
  void write(const json& content) { write(content.dump()); }
  PrepareSummary run() { return prepare(*comm_, config_, DataConfig(), tools_); }
  std::string message() {
    return message_of([&] { run(); });
  }

  std::unique_ptr<Tokenizer> tokenizer_ = load_tokenizer(data_file("tokenizer/small_bert"));
  PrepareConfig config_;
  PrepareTools tools_;
};

std::string words(int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += std::string(1, static_cast<char>('a' + i % 26)) + " ";
  return result;
}

json many_paragraphs() {
  json paragraphs = json::array();
  for (int p = 0; p < 40; ++p) {
    const std::string context = words(3 + p * 7 % 90) + "the sea";
    json questions = json::array();
    for (int q = 0; q < p % 4; ++q)
      questions.push_back(question(std::to_string(p) + "-" + std::to_string(q), "what is " + words(q) + "?",
                                   answer("the sea", static_cast<int>(context.size()) - 7)));
    paragraphs.push_back({{"context", context}, {"qas", questions}});
  }
  return paragraphs;
}

TEST_F(Squad, SameBytesForAnyNumberOfRanks) {
  write(squad(many_paragraphs()));
  run();
  const std::string mine = xxh3_128_of_file(config_.output);
  comm_->barrier();

  config_.output = (root_ / ("alone" + std::to_string(comm_->rank()) + ".h5")).string();
  prepare(*make_self_communicator(), config_, DataConfig(), tools_);

  EXPECT_EQ(xxh3_128_of_file(config_.output), mine);
}

TEST_F(Squad, RowsLabelsAndPlacesOfTheText) {
  write(squad({{{"context", "Caf\xc3\xa9 by the sea"}, {"qas", {question("q1", " where?", answer("the sea", 8)), question("q2", "who?")}}},
               {{"context", "nothing"}, {"qas", json::array()}}}));

  const PrepareSummary summary = run();

  const FeatureFile file(config_.output);
  EXPECT_EQ(file.info().questions, 2);
  EXPECT_EQ(file.info().contexts, 1);
  EXPECT_EQ(file.info().counts.paragraphs_without_questions, 1);
  EXPECT_EQ(file.info().counts.without_answers, 1);
  EXPECT_EQ(file.question(0), (SquadQuestion{"q1", " where?", {{"the sea", 8}}, false, 0}));
  std::vector<std::int32_t> ids(32), types(32);
  const Feature first = file.row(0, ids.data(), types.data());
  const auto tokens = tokenizer_->encode("Caf\xc3\xa9 by the sea");
  const auto asked = static_cast<std::int64_t>(tokenizer_->encode("where?").size());
  EXPECT_EQ(first.used, asked + static_cast<std::int64_t>(tokens.size()) + 3);
  EXPECT_EQ(ids[0], static_cast<std::int32_t>(*tokenizer_->id_of("[CLS]")));
  EXPECT_EQ(types[static_cast<std::size_t>(asked + 1)], 0);
  EXPECT_EQ(types[static_cast<std::size_t>(asked + 2)], 1);
  EXPECT_EQ(ids[31], static_cast<std::int32_t>(*tokenizer_->id_of("[PAD]")));
  const Characters context(file.context(0));
  const TextRange start = file.range(0, first.label.start), end = file.range(0, first.label.end);
  EXPECT_EQ(context.between(start.first, end.end), "the sea");
  EXPECT_FALSE(file.in_context(0, asked + 1));
  EXPECT_FALSE(file.in_context(0, first.used - 1));
  EXPECT_EQ(file.feature(1).label, LabelledSpan{});
  EXPECT_EQ(file.features_of(1), (std::pair<std::int64_t, std::int64_t>{1, 2}));
  EXPECT_THAT(summary_text(summary), HasSubstr("1 paragraphs have no question"));
  EXPECT_THAT(describe_feature_file(file), HasSubstr("questions     2 (0 unanswerable, 1 without answers, 0 left out)"));
  EXPECT_EQ(json::parse(feature_file_json(file))["features"], 2);
}

TEST_F(Squad, BatchesHoldRowsInOrderAndFiller) {
  write(squad(many_paragraphs()));
  run();
  const FeatureFile file(config_.output);
  const std::int64_t features = file.info().features;
  const FeatureLoader loader(file, DataOrder(features, 42, true), 4);
  FeatureBatch batch;
  std::vector<int> seen(static_cast<std::size_t>(features), 0);
  for (std::int64_t position = 0; position < features; position += 4) {
    loader.fill(position, features, batch);
    std::int64_t counted = 0;
    for (std::size_t row = 0; row < 4; ++row) {
      counted += (batch.labels[2 * row] >= 0) + (batch.labels[2 * row + 1] >= 0);
      if (batch.features[row] < 0) {
        EXPECT_EQ(batch.lengths[row], 1);
        continue;
      }
      ++seen[static_cast<std::size_t>(batch.features[row])];
      std::vector<std::int32_t> ids(32), types(32);
      const Feature feature = file.row(batch.features[row], ids.data(), types.data());
      EXPECT_TRUE(std::equal(ids.begin(), ids.end(), batch.inputs.begin() + static_cast<std::ptrdiff_t>(32 * row)));
      EXPECT_TRUE(std::equal(types.begin(), types.end(), batch.types.begin() + static_cast<std::ptrdiff_t>(32 * row)));
      EXPECT_EQ(batch.lengths[row], feature.used);
      EXPECT_EQ(batch.labels[2 * row], feature.label.start);
      EXPECT_EQ(batch.labels[2 * row + 1], feature.label.end);
    }
    EXPECT_EQ(batch.counted, counted);
    EXPECT_EQ(loader.counted_labels(position, features), counted);
  }
  EXPECT_EQ(seen, std::vector<int>(static_cast<std::size_t>(features), 1));
}

TEST_F(Squad, Version2MarksTheUnanswerable) {
  json asked = question("q1", "where?");
  asked["is_impossible"] = true;
  write(squad({{{"context", "the sea"}, {"qas", {asked}}}}, "v2.0"));
  run();
  const FeatureFile file(config_.output);
  EXPECT_TRUE(file.info().v2);
  EXPECT_TRUE(file.question(0).impossible);
  EXPECT_EQ(file.info().counts.impossible, 1);
  EXPECT_EQ(file.feature(0).label, LabelledSpan{});
}

TEST_F(Squad, BrokenFilesAreNamedWithTheirPlace) {
  const std::string name = root_ / "in.json";
  const auto expect = [&](const std::string& content, const std::string& expected) {
    write(content);
    EXPECT_THAT(message(), HasSubstr(name));
    EXPECT_THAT(message(), HasSubstr(expected));
    EXPECT_FALSE(fs::exists(config_.output));
  };
  expect("{\"data\": [", "the JSON is broken");
  expect("", "the JSON is broken");
  expect(std::string(100000, '['), "nested deeper than 64 levels");
  expect("{\"version\": \"1.1\"}", "there is no \"data\", expected a list: is it a SQuAD file?");
  expect("[1]", "expected an object, found array");
  expect("{\"data\": [{}]}", "data[0]: there is no \"paragraphs\"");
  expect(squad({{{"context", 7}, {"qas", json::array()}}}).dump(), "data[0].paragraphs[0].context: expected a text, found number");
  expect(squad({{{"context", "a"}, {"qas", {{{"id", "x"}}}}}}).dump(), "data[0].paragraphs[0].qas[0] (id 'x'): there is no \"question\"");
  expect(squad({{{"context", "a"}, {"qas", {question("x", "b?", {{{"text", "a"}}})}}}}).dump(),
         "answers[0].answer_start: expected a whole number of characters, found nothing");
  json far = question("x", "b?", answer("a", 0));
  far["answers"][0]["answer_start"] = std::int64_t{1} << 62;
  expect(squad({{{"context", "a"}, {"qas", {far}}}}).dump(),
         "answers[0].answer_start: expected a place in the context, found 4611686018427387904");
}

TEST_F(Squad, BadQuestionsStopOrAreLeftOut) {
  const auto expect = [&](const json& bad, const std::string& expected, std::int64_t kept = 1) {
    write(squad({{{"context", "by the sea"}, {"qas", {question("good", "where?", answer("the sea", 3)), bad}}}}));
    config_.on_error = "stop";
    EXPECT_THAT(message(), HasSubstr(expected));
    config_.on_error = "skip";
    const PrepareSummary summary = run();
    EXPECT_EQ(summary.skipped, 1);
    ASSERT_EQ(summary.problems.size(), 1u);
    EXPECT_THAT(summary.problems[0], HasSubstr(expected));
    EXPECT_EQ(FeatureFile(config_.output).info().questions, kept);
  };
  expect(question("x", " \t"), "data[0].paragraphs[0].qas[1] (id 'x'): the question is empty");
  expect(question("good", "who?"), "another question has the same id");
  expect(question("x", "where?", answer("the sea", 2)),
         "the answer 'the sea' is not at its offset 2 of the context, where ' the se' stands");
  json impossible = question("x", "where?", answer("the sea", 3));
  impossible["is_impossible"] = true;
  expect(impossible, "is_impossible is true, yet there are answers");
  config_.sequence = 20, config_.stride = 4;
  expect(question("x", words(17)), "question 'x': the question has 17 tokens, which leave no room");
}

TEST_F(Squad, MisplacedAnswersFollowTheDeck) {
  write(squad({{{"context", "the sea and the sea"}, {"qas", {question("q", "what?", answer("the sea", 10))}}}}));
  config_.misplaced_answers = "move";
  EXPECT_THAT(run().problems.at(0), HasSubstr("moved to 12"));
  EXPECT_EQ(FeatureFile(config_.output).question(0).answers[0].start, 12);
  EXPECT_EQ(FeatureFile(config_.output).info().counts.moved, 1);
  config_.misplaced_answers = "keep";
  EXPECT_THAT(run().problems.at(0), HasSubstr("the offset counts"));
  EXPECT_EQ(FeatureFile(config_.output).question(0).answers[0].start, 10);
  EXPECT_EQ(FeatureFile(config_.output).info().counts.misplaced, 1);
  config_.misplaced_answers = "skip";
  EXPECT_THAT(message(), HasSubstr("the input holds no question"));
  config_.misplaced_answers = "stop", config_.on_error = "skip";
  EXPECT_THAT(message(), HasSubstr("prepare.misplaced_answers says"));
}

TEST_F(Squad, SettingsThatCannotWorkAreRefused) {
  write(squad({{{"context", "the sea"}, {"qas", {question("q", "what?")}}}}));
  config_.stride = 28;
  EXPECT_THAT(message(), HasSubstr("prepare.stride = 28: expected less than the sequence of 32"));
  config_.stride = 8, config_.split = 0.5;
  EXPECT_THAT(message(), HasSubstr("SQuAD comes with validation files"));
  config_.split = 0;
  FakeTokenizer bytes;
  tools_.tokenizer = &bytes;
  EXPECT_THAT(message(), HasSubstr("SQuAD needs a WordPiece tokenizer"));
}

TEST_F(Squad, DamageIsSeenAndNamed) {
  write(squad(many_paragraphs()));
  run();
  comm_->barrier();
  if (comm_->rank() > 0) return;
  const std::string whole = read_file(config_.output);
  for (std::size_t at = 0; at < whole.size(); at += 1 + whole.size() / 199) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 4);
    write_file(root_ / "damaged.h5", damaged);
    try {
      const FeatureFile file(root_ / "damaged.h5");
      EXPECT_EQ(file.hash(), FeatureFile(config_.output).hash()) << "byte " << at;  // a byte that nothing uses
    } catch (const DataError& error) {
      EXPECT_THAT(error.what(), HasSubstr("damaged.h5"));
    }
  }
}

TEST(SquadReader, SharedFilesAreSound) {
  if (shared_dir().empty()) GTEST_SKIP() << "the data in shared/ is not beside the repository";
  const SquadData squad = read_squad({shared_dir() / "data/squad/train-v1.1-16articles.json"}, {});
  EXPECT_EQ(squad.questions.size(), 2910u);
  EXPECT_EQ(squad.counts.articles, 16);
  EXPECT_FALSE(squad.v2);
}

}  // namespace
}  // namespace strata::test
