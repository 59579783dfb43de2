// prepare: right tokens, and the same bytes for any number of ranks and threads.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <memory>

#include "data/prepare_test.hpp"
#include "strata/base/error.hpp"
#include "strata/data/loader.hpp"
#include "strata/data/split.hpp"
#include "strata/data/token_file.hpp"
#include "strata/io/file.hpp"
#include "strata/tensor/random.hpp"

namespace strata {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Prepare : public test::PrepareTest {
 protected:
  Prepare() : PrepareTest("out/tokens.h5") {}
  /// All tokens of the file.
  std::vector<std::int32_t> tokens(const fs::path& path) const {
    const TokenFileReader file(path);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(file.info().tokens));
    file.read(0, file.info().tokens, ids.data());
    return ids;
  }
  std::vector<std::int32_t> tokens() const { return tokens(config_.output); }
};

/// Several MB of lines of very different lengths: many blocks, several rounds.
std::string corpus(std::size_t bytes, std::uint64_t seed) {
  std::string result;
  for (std::uint64_t line = 0; result.size() < bytes; ++line) {
    const double u = random_uniform(seed, RandomPurpose::test, line, 0);
    const auto length = static_cast<std::size_t>(u * u * u * 3000);
    for (std::size_t i = 0; i < length; ++i) result += static_cast<char>('a' + (line * 31 + i * i) % 26);
    result += "\n";
  }
  return result;
}

TEST_F(Prepare, MakesTheTokensOfEveryDocumentInOrder) {
  write("in.txt", "ab\n\nc\n");

  const PrepareSummary summary = run();

  EXPECT_THAT(tokens(), ElementsAre('a', 'b', 256, 256, 'c', 256));
  const TokenFileReader file(config_.output);
  EXPECT_THAT(file.starts_between(-1, 7), ElementsAre(0, 3, 4, 6));
  EXPECT_EQ(file.info().separator_tokens, 3);
  EXPECT_EQ(file.info().vocabulary, 259);
  EXPECT_EQ(file.info().separator, "<eos>");
  EXPECT_EQ(file.info().tokenizer_hash, tokenizer_.hash());
  ASSERT_EQ(file.info().sources.size(), 1u);
  EXPECT_EQ(file.info().sources[0].bytes, 6);
  EXPECT_EQ(file.info().sources[0].hash, xxh3_128_of_file(config_.input[0]));
  EXPECT_EQ(summary.documents, 3);
  EXPECT_EQ(summary.tokens, 6);
  EXPECT_EQ(summary.text_bytes, 3);
  EXPECT_EQ(summary.files.size(), 1u);
  EXPECT_EQ(summary.files[0].hash, file.hash());
  EXPECT_THAT(summary_text(summary), HasSubstr("prepared 3 documents, 6 tokens"));
}

TEST_F(Prepare, PutsTheSeparatorWhereItIsAsked) {
  write("in.txt", "ab\nc\n");
  const auto with = [&](const std::string& separator) {
    config_.separator = separator;
    run();
    return tokens();
  };

  EXPECT_THAT(with("none"), ElementsAre('a', 'b', 'c'));
  EXPECT_THAT(with("bos"), ElementsAre(257, 'a', 'b', 257, 'c'));
  EXPECT_THAT(with("<sep>"), ElementsAre('a', 'b', 258, 'c', 258));
}

TEST_F(Prepare, ReadsJsonLinesAndReadyIds) {
  write("in.txt", "{\"body\": \"xy\"}\n\n{\"body\": \"z\"}\n");
  config_.format = "jsonl", config_.field = "body";
  run();
  EXPECT_THAT(tokens(), ElementsAre('x', 'y', 256, 'z', 256));

  write("ids.jsonl", "{\"input_ids\": [70000, 1]}\n{\"input_ids\": []}\n{\"input_ids\": [2]}\n");
  config_.input = {(root_ / "ids.jsonl").string()}, config_.format = "ids", config_.field = "text", config_.vocabulary = 70001,
  config_.separator = "9";
  tools_.tokenizer = nullptr;
  run();
  EXPECT_THAT(tokens(), ElementsAre(70000, 1, 9, 9, 2, 9));
  EXPECT_EQ(TokenFileReader(config_.output).info().vocabulary, 70001);
}

TEST_F(Prepare, CutsDocumentsAtTruncate) {
  write("in.txt", "abcdef\ngh\n");
  config_.truncate = 3;
  run();
  EXPECT_THAT(tokens(), ElementsAre('a', 'b', 'c', 256, 'g', 'h', 256));
}

TEST_F(Prepare, PacksDocumentsWithPadding) {
  write("in.txt", "aaa\nb\ncccccc\nd\n");
  config_.pack = "documents", config_.sequence = 4;
  const PrepareSummary summary = run();

  EXPECT_THAT(tokens(), ElementsAre('a', 'a', 'a', 256, 'b', 256, 'd', 256, 'c', 'c', 'c', 'c', 'c', 'c', 256, 256));
  const TokenFileReader file(config_.output);
  EXPECT_EQ(file.used(3), 3);
  EXPECT_EQ(file.info().padding_tokens, 1);
  EXPECT_EQ(file.info().separator_tokens, 4) << "padding with the separator's id is not a separator";
  EXPECT_EQ(summary.files[0].padding_tokens, 1);
}

TEST_F(Prepare, SplitsDocumentsByTheirNumber) {
  std::string content;
  for (int i = 0; i < 100; ++i) content += static_cast<char>('!' + i % 90), content += "\n";
  write("in.txt", content);
  config_.split = 0.1;
  const PrepareSummary summary = run();

  ASSERT_EQ(summary.files.size(), 2u);
  EXPECT_EQ(summary.files[1].path, root_ / "out" / "tokens-valid.h5");
  EXPECT_EQ(summary.files[1].documents, 10);
  EXPECT_EQ(summary.files[0].documents, 90);
  const Split split(0.1, 42);
  std::vector<std::int32_t> train, validation;
  for (int i = 0; i < 100; ++i) {
    auto& side = split.is_validation(i) ? validation : train;
    side.push_back('!' + i % 90), side.push_back(256);
  }
  EXPECT_EQ(tokens(), train);
  EXPECT_EQ(tokens(validation_path(config_)), validation);
  EXPECT_EQ(TokenFileReader(validation_path(config_)).info().part, "validation");
}

TEST_F(Prepare, GivesTheSameFilesForAnyRanksAndThreads) {
  write("in.txt", corpus(6 << 20, 1));
  write("more.txt", corpus(1 << 20, 2));
  config_.input.push_back((root_ / "more.txt").string());
  config_.split = 0.03;
  const auto self = make_self_communicator();
  for (const std::string pack : {"stream", "concat", "documents"}) {
    config_.pack = pack, config_.sequence = 1000, config_.wrap = false;
    config_.output = (root_ / (pack + "-one.h5")).string(), config_.validation_output = (root_ / (pack + "-one-v.h5")).string();
    PrepareSummary one;
    tools_.threads = 1;
    guarded(*comm_, [&] {
      if (comm_->rank() == 0) one = prepare(*self, config_, data_, tools_);
    });
    const PrepareConfig first = config_;
    config_.output = (root_ / (pack + "-all.h5")).string(), config_.validation_output = (root_ / (pack + "-all-v.h5")).string();
    tools_.threads = 3;
    const PrepareSummary all = run();

    if (comm_->rank() == 0) {
      EXPECT_TRUE(test::read_file(first.output) == test::read_file(config_.output)) << pack;
      EXPECT_TRUE(test::read_file(first.validation_output) == test::read_file(config_.validation_output)) << pack;
      EXPECT_EQ(one.tokens, all.tokens);
      EXPECT_EQ(one.files[0].documents, all.files[0].documents);
      EXPECT_THAT(verify_token_file(config_.output), ElementsAre());
    }
  }
}

TEST_F(Prepare, CompressedInputGivesTheSameTokens) {
  write("in.txt", corpus(1 << 20, 3));
  run();
  const std::string plain = TokenFileReader(config_.output).hash();
  if (comm_->rank() == 0) {
    EXPECT_EQ(test::run_command("cd " + root_.string() + " && gzip -k in.txt && zstd -q -k in.txt").status, 0);
  }
  comm_->barrier();
  for (const std::string ending : {".gz", ".zst"}) {
    config_.input = {(root_ / ("in.txt" + ending)).string()};
    run();
    EXPECT_EQ(TokenFileReader(config_.output).hash(), plain) << ending;
  }
}

TEST_F(Prepare, PacksAsConcatTokensDoes) {
  const auto golden = nlohmann::json::parse(test::read_file(test::data_file("data/packing.json")));
  std::string lines;
  for (const auto& document : golden["documents"]) lines += nlohmann::json{{"input_ids", document["ids"]}}.dump() + "\n";
  write("in.txt", lines);
  config_.format = "ids", config_.vocabulary = 151936, config_.pack = "concat";
  tools_.tokenizer = nullptr;
  ASSERT_EQ(golden["cases"].size(), 12u);
  for (const auto& expected : golden["cases"]) {
    config_.sequence = expected["length"], config_.wrap = expected["wrap"];
    config_.truncate = expected["truncate"].is_null() ? 0 : expected["truncate"].get<std::int64_t>();
    config_.separator = expected["separator"].is_null() ? "none" : expected["separator"].dump();

    run();

    const TokenFileReader file(config_.output);
    const TokenSamples samples(file, config_.sequence, false);
    ASSERT_EQ(samples.samples(), static_cast<std::int64_t>(expected["sequences"].size()));
    for (std::int64_t k = 0; k < samples.samples(); ++k) {
      std::vector<std::int32_t> inputs(16), labels(16), first_key(16);
      samples.read(k, inputs.data(), labels.data(), first_key.data());
      EXPECT_EQ(inputs, expected["sequences"][static_cast<std::size_t>(k)].get<std::vector<std::int32_t>>()) << expected.dump();
    }
  }
}

TEST_F(Prepare, StreamCutIntoSequencesIsConcatWithWrap) {
  write("in.txt", corpus(200000, 4));
  config_.sequence = 100;
  run();
  std::vector<std::int32_t> stream = tokens();
  config_.pack = "concat";
  const PrepareSummary summary = run();

  stream.resize(stream.size() / 100 * 100);
  EXPECT_EQ(tokens(), stream);
  EXPECT_EQ(summary.files[0].dropped_tokens, summary.tokens - static_cast<std::int64_t>(stream.size()));
}

TEST_F(Prepare, TellsItsProgress) {
  write("in.txt", corpus(100000, 5));
  std::vector<PrepareProgress> told;
  tools_.progress = [&](const PrepareProgress& progress) { told.push_back(progress); };
  const PrepareSummary summary = run();

  ASSERT_FALSE(told.empty());
  EXPECT_EQ(told.back().documents, summary.documents);
  EXPECT_EQ(told.back().tokens, summary.tokens);
  EXPECT_EQ(told.back().share, 1.0);
}

TEST_F(Prepare, SamplesSentencesOfTheTrainingShare) {
  write("in.txt", "one\ntwo\n\n" + std::string(9000, 'x') + "\n");
  EXPECT_THAT(sample_sentences(config_, 42),
              ElementsAre("one", "two", std::string(4000, 'x'), std::string(4000, 'x'), std::string(1000, 'x')));

  write("in.txt", corpus(1 << 20, 6));
  const std::vector<std::string> few = sample_sentences(config_, 42, 100000);
  std::size_t bytes = 0;
  for (const std::string& line : few) bytes += line.size();
  EXPECT_LE(bytes, 100000u);
  EXPECT_GT(bytes, 50000u);
  EXPECT_TRUE(few == sample_sentences(config_, 42, 100000));
  EXPECT_FALSE(few == sample_sentences(config_, 43, 100000));
  const std::size_t all = sample_sentences(config_, 42).size();
  config_.split = 0.5;
  EXPECT_LT(sample_sentences(config_, 42).size() * 3, all * 2);
}

}  // namespace
}  // namespace strata
