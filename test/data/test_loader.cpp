// Loader: inputs, labels and document borders of every packing, in data order, read ahead.
#include "strata/data/loader.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "data/fake_tokenizer.hpp"
#include "data/token_fixture.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace {
using test::make_token_file;
using test::message_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
constexpr std::int32_t no = ignored_label;

struct Row {
  std::vector<std::int32_t> inputs, labels, first_key;
  std::int64_t counted;
};

Row row(const TokenSamples& samples, std::int64_t sample) {
  const auto size = static_cast<std::size_t>(samples.sequence());
  Row r{std::vector<std::int32_t>(size), std::vector<std::int32_t>(size), std::vector<std::int32_t>(size), 0};
  r.counted = samples.read(sample, r.inputs.data(), r.labels.data(), r.first_key.data());
  EXPECT_EQ(r.counted, std::count_if(r.labels.begin(), r.labels.end(), [](std::int32_t label) { return label >= 0; }));
  EXPECT_EQ(samples.counted(sample), r.counted);
  return r;
}

class Loader : public ::testing::Test {
 protected:
  const TokenFileReader& open(const std::vector<std::vector<int>>& documents, const std::string& pack = "stream", std::int64_t sequence = 0,
                              const std::string& separator = "none") {
    make_token_file(folder_ / "t.h5", documents, pack, sequence, 1000, separator);
    file_.emplace(folder_ / "t.h5");
    return *file_;
  }
  test::TemporaryFolder folder_;
  std::optional<TokenFileReader> file_;
};

/// Documents of one token each: 0, 1, 2, ...
std::vector<std::vector<int>> numbers(int count) {
  std::vector<std::vector<int>> documents;
  for (int i = 0; i < count; ++i) documents.push_back({i});
  return documents;
}

TEST_F(Loader, ShiftsLabelsWithinTheSample) {
  const TokenSamples samples(open({{1, 2, 3}, {4, 5, 6, 7}, {8, 9}}), 4, false);

  EXPECT_EQ(samples.samples(), 2);
  const Row second = row(samples, 1);
  EXPECT_THAT(second.inputs, ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(second.labels, ElementsAre(6, 7, 8, no));
  EXPECT_THAT(second.first_key, ElementsAre(0, 0, 0, 0));
  EXPECT_EQ(second.counted, 3);
}

TEST_F(Loader, MasksDocuments) {
  const TokenSamples samples(open({{1, 2, 3}, {4}, {}, {5, 6, 7}, {8, 9}}), 4, true);

  const Row first = row(samples, 0), second = row(samples, 1);

  EXPECT_THAT(first.labels, ElementsAre(2, 3, no, no));
  EXPECT_THAT(first.first_key, ElementsAre(0, 0, 0, 3));
  EXPECT_THAT(second.inputs, ElementsAre(5, 6, 7, 8));
  EXPECT_THAT(second.labels, ElementsAre(6, 7, no, no));
  EXPECT_THAT(second.first_key, ElementsAre(0, 0, 0, 3));
}

TEST_F(Loader, ADocumentMayRunThroughSeveralSamples) {
  const TokenSamples samples(open({{1}, {2, 3, 4, 5, 6, 7, 8, 9, 10}, {11, 12}}), 4, true);
  EXPECT_THAT(row(samples, 0).first_key, ElementsAre(0, 1, 1, 1));
  EXPECT_THAT(row(samples, 1).first_key, ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(row(samples, 1).labels, ElementsAre(6, 7, 8, no));
  EXPECT_THAT(row(samples, 2).first_key, ElementsAre(0, 0, 2, 2));
}

TEST_F(Loader, PaddingCountsNothing) {
  const TokenFileReader& file = open({{1, 2}, {3, 4}, {5}}, "documents", 5, "9");
  const TokenSamples samples(file, 5, false), masked(file, 5, true);

  ASSERT_EQ(samples.samples(), 2);
  EXPECT_THAT(row(samples, 0).inputs, ElementsAre(1, 2, 9, 5, 9));
  EXPECT_THAT(row(samples, 0).labels, ElementsAre(2, 9, 5, 9, no));
  EXPECT_THAT(row(samples, 1).inputs, ElementsAre(3, 4, 9, 9, 9));
  EXPECT_THAT(row(samples, 1).labels, ElementsAre(4, 9, no, no, no));
  EXPECT_THAT(row(masked, 0).labels, ElementsAre(2, 9, no, 9, no));
  EXPECT_THAT(row(masked, 0).first_key, ElementsAre(0, 0, 0, 3, 3));
  EXPECT_THAT(row(masked, 1).first_key, ElementsAre(0, 0, 0, 3, 3));
}

TEST_F(Loader, RefusesFilesThatDoNotFitTheSequence) {
  EXPECT_THAT(message_of([&] {
                TokenSamples(open({{1, 2}}), 4, false);
              }),
              HasSubstr("the file has 2 tokens, fewer than one sequence of 4 (data.sequence)"));
  EXPECT_THAT(message_of([&] {
                TokenSamples(open({{1, 2, 3, 4}}, "concat", 4), 2, false);
              }),
              HasSubstr("(prepare.pack = concat) into sequences of 4 tokens, and data.sequence is 2: set data.sequence = 4"));
}

TEST_F(Loader, FillsRowsInDataOrderAndFillerAtTheEnd) {
  const TokenSamples samples(open(numbers(20)), 2, false);
  const DataOrder order(10, 7, true);
  const TokenLoader loader(samples, order, 3);
  TokenBatch batch;

  loader.fill(8, 20, batch);
  for (std::int64_t r = 0; r < 3; ++r) {
    EXPECT_EQ(batch.inputs[static_cast<std::size_t>(2 * r)], 2 * order.sample_at(8 + r)) << "across the epoch's end";
    EXPECT_EQ(batch.labels[static_cast<std::size_t>(2 * r)], 2 * order.sample_at(8 + r) + 1);
  }
  EXPECT_EQ(batch.counted, 3);
  EXPECT_EQ(loader.counted_labels(8, 20), 3);

  loader.fill(18, 20, batch);
  EXPECT_EQ(batch.counted, 2);
  EXPECT_EQ(loader.counted_labels(18, 20), 2);
  EXPECT_THAT(std::vector<std::int32_t>(batch.labels.begin() + 4, batch.labels.end()), ElementsAre(no, no));
  EXPECT_THAT(std::vector<std::int32_t>(batch.inputs.begin() + 4, batch.inputs.end()), ElementsAre(0, 0));
  fill_empty(3, 2, batch);
  EXPECT_THAT(batch.labels, ElementsAre(no, no, no, no, no, no));
  EXPECT_EQ(batch.counted, 0);
}

TEST_F(Loader, AnEpochUsesEverySampleOnce) {
  const TokenSamples samples(open(numbers(200)), 2, false);
  const TokenLoader loader(samples, DataOrder(100, 1, true), 4);
  std::vector<int> used(100, 0);
  TokenBatch batch;
  for (std::int64_t p = 0; p < 100; p += 4) {
    loader.fill(p, 100, batch);
    for (std::size_t r = 0; r < 4; ++r) ++used[static_cast<std::size_t>(batch.inputs[2 * r] / 2)];
  }
  EXPECT_EQ(used, std::vector<int>(100, 1));
}

TEST_F(Loader, ReadsAheadInOrder) {
  const TokenSamples samples(open(numbers(200)), 2, false);
  const TokenLoader loader(samples, DataOrder(100, 1, true), 4);
  std::int64_t next = 0;
  ReadAhead ahead(
      loader, 1000, [&]() -> std::optional<std::int64_t> { return next < 400 ? std::optional((next += 8) - 8) : std::nullopt; }, 3);
  TokenBatch batch, expected;
  for (std::int64_t p = 0; p < 400; p += 8) {
    ASSERT_TRUE(ahead.next(batch));
    loader.fill(p, 1000, expected);
    EXPECT_EQ(batch.position, p);
    EXPECT_EQ(batch.inputs, expected.inputs);
    EXPECT_EQ(batch.counted, expected.counted);
  }
  EXPECT_FALSE(ahead.next(batch));
  EXPECT_FALSE(ahead.next(batch));
}

TEST_F(Loader, ReadAheadStopsAtOnceWhenDropped) {
  const TokenSamples samples(open(numbers(200)), 2, false);
  const TokenLoader loader(samples, DataOrder(100, 1, true), 4);
  std::int64_t next = 0;
  {
    const ReadAhead unused(
        loader, INT64_MAX, [&]() -> std::optional<std::int64_t> { return next += 4; }, 2);
  }
  EXPECT_LT(next, 100);
}

TEST_F(Loader, ErrorsOfTheThreadComeOutOfNext) {
  std::vector<std::uint16_t> tokens(5'000'000, 1);
  tokens[4'999'999] = 200;
  test::write_token_file(folder_ / "bad.h5", tokens, {0, 5'000'000});
  const TokenFileReader file(folder_ / "bad.h5");
  const TokenSamples samples(file, 1000, false);
  const TokenLoader loader(samples, DataOrder(5000, 1, false), 1);
  std::int64_t next = 4190;  // the last piece begins in sample 4194
  ReadAhead ahead(
      loader, INT64_MAX, [&]() -> std::optional<std::int64_t> { return next++; }, 8);
  TokenBatch batch;
  int good = 0;

  const std::string message = message_of([&] {
    while (ahead.next(batch)) ++good;
  });

  EXPECT_EQ(good, 4);
  EXPECT_THAT(message, HasSubstr("/tokens[4999999] = 200 is no token"));
}

TEST_F(Loader, TellsTheFacts) {
  const TokenFileReader& file = open({{1, 2, 3}, {4}, {5, 6, 7}, {8, 9}}, "stream", 0, "0");  // 13 tokens, starts 0 4 6 10
  const DatasetFacts open_facts = dataset_facts(TokenSamples(file, 4, false), 2), masked = dataset_facts(TokenSamples(file, 4, true), 2);

  EXPECT_EQ(open_facts.samples, 3);
  EXPECT_EQ(open_facts.steps, 1.5);
  EXPECT_EQ(open_facts.tokens, 12);
  EXPECT_EQ(open_facts.unused_tokens, 1);
  EXPECT_EQ(open_facts.text_tokens, 9);
  EXPECT_EQ(open_facts.separator_tokens, 4);
  EXPECT_EQ(open_facts.counted, 9);
  EXPECT_EQ(masked.counted, 7) << "the documents that start at 6 and 10 do so inside a sample";
  EXPECT_THAT(
      facts_text(masked),
      HasSubstr("3 sequences of 4 tokens, 1.5 steps per epoch; 7 labels count; tokens: 9 text, 4 separators, 0 padding; the last 1 fill"));
}

TEST_F(Loader, FactsAgreeWithTheSamples) {
  std::vector<std::vector<int>> documents;
  for (int i = 0; i < 300; ++i) documents.push_back(std::vector<int>(static_cast<std::size_t>(i * 37 % 23), i));
  for (const std::string pack : {"stream", "concat", "documents"})
    for (const bool mask : {false, true}) {
      const TokenSamples samples(open(documents, pack, 16, "5"), 16, mask);
      std::int64_t counted = 0;
      for (std::int64_t k = 0; k < samples.samples(); ++k) counted += row(samples, k).counted;
      const DatasetFacts facts = dataset_facts(samples, 1);
      EXPECT_EQ(facts.counted, counted) << pack << mask;
      EXPECT_EQ(facts.text_tokens + facts.separator_tokens + facts.padding_tokens, facts.tokens + facts.unused_tokens);
    }
}

TEST_F(Loader, DecodesASample) {
  const TokenSamples samples(open({{'h', 'i'}, {'y', 'o'}}, "documents", 8, "256"), 8, false);
  EXPECT_EQ(decoded_sample(samples, 0, test::FakeTokenizer()), "hi<eos>yo<eos>");
  EXPECT_EQ(decoded_sample(samples, 0, test::FakeTokenizer(), 2), "hi");
}

}  // namespace
}  // namespace strata
