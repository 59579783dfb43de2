// SQuAD features equal those of Hugging Face's run_qa on everything recorded in shared/golden/text. Needs shared/.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "strata/base/error.hpp"
#include "strata/data/feature_file.hpp"
#include "strata/data/prepare.hpp"
#include "support/support.hpp"
#include "tokenizer/golden.hpp"

namespace strata::test {
namespace {
using nlohmann::json;
namespace fs = std::filesystem;

struct Text {
  std::vector<TokenId> ids;
  std::vector<TextRange> ranges;
};

/// A row as the reference has it.
struct Row {
  std::vector<std::int32_t> ids, types, mask, offsets;
  LabelledSpan label, published;
};

class SquadFeatures : public ::testing::Test {
 protected:
  void SetUp() override {
    if (shared_dir().empty()) GTEST_SKIP() << "the references in shared/ are not beside the repository";
    reference_ = read_json(shared_dir() / "golden/text/squad_features.json");
    tokenizer_ = load_tokenizer(shared_dir() / "data/bert-base-uncased");
  }
  Text encoded(std::string_view words) const {
    Text result;
    tokenizer_->encode_with_ranges(words, result.ids, result.ranges);
    return result;
  }
  Row row(const Text& question, const Text& context, const ContextSpan& span, std::int64_t sequence, const SquadAnswer* answer) const {
    Row made{std::vector<std::int32_t>(static_cast<std::size_t>(sequence)),
             std::vector<std::int32_t>(static_cast<std::size_t>(sequence)),
             {},
             std::vector<std::int32_t>(static_cast<std::size_t>(2 * sequence)),
             {},
             {}};
    const auto count = static_cast<std::int64_t>(question.ids.size());
    const auto used = fill_row(*tokenizer_->pair_tokens(), question.ids,
                               std::span(context.ids).subspan(static_cast<std::size_t>(span.first), static_cast<std::size_t>(span.count)),
                               sequence, made.ids.data(), made.types.data());
    for (std::int64_t i = 0; i < sequence; ++i) made.mask.push_back(i < used);
    const auto put = [&](std::int64_t at, const TextRange& range) {
      made.offsets[static_cast<std::size_t>(2 * at)] = static_cast<std::int32_t>(range.first);
      made.offsets[static_cast<std::size_t>(2 * at + 1)] = static_cast<std::int32_t>(range.end);
    };
    for (std::int64_t i = 0; i < count; ++i) put(1 + i, question.ranges[static_cast<std::size_t>(i)]);
    for (std::int64_t i = 0; i < span.count; ++i) put(count + 2 + i, context.ranges[static_cast<std::size_t>(span.first + i)]);
    if (!answer) return made;
    const std::int64_t end = answer->start + Characters(answer->text).size();
    made.label = label_span(context.ranges, span, count, sequence, answer->start, end, LabelRule::context);
    made.published = label_span(context.ranges, span, count, sequence, answer->start, end, LabelRule::run_qa);
    return made;
  }
  std::vector<Row> rows(const std::string& question, const std::string& context, const SquadAnswer* answer, std::int64_t sequence,
                        std::int64_t stride) const {
    const Text asked = encoded(without_leading_blanks(question)), told = encoded(context);
    std::vector<Row> all;
    for (const ContextSpan& span :
         context_spans(static_cast<std::int64_t>(asked.ids.size()), static_cast<std::int64_t>(told.ids.size()), sequence, stride))
      all.push_back(row(asked, told, span, sequence, answer));
    return all;
  }
  json reference_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

void add(Sha256& hash, const std::vector<std::int32_t>& values) {
  for (const std::int32_t value : values) hash.add_number(static_cast<std::uint32_t>(value));
}

void add_row(Sha256& hash, const Row& row, const LabelledSpan& label) {
  add(hash, row.ids), add(hash, row.types), add(hash, row.mask);
  add(hash, {static_cast<std::int32_t>(label.start), static_cast<std::int32_t>(label.end)});
}

TEST_F(SquadFeatures, HashesOfWholeFiles) {
  for (const json& entry : reference_["files"]) {
    SCOPED_TRACE(entry["file"].get<std::string>() + " " + entry["max_length"].dump());
    const SquadData squad = read_squad({shared_dir() / "data" / entry["file"].get<std::string>()}, {});
    Sha256 published, in_context, offsets;
    std::int64_t features = 0, cls = 0;
    for (std::int64_t q = 0; q < entry["questions"].get<std::int64_t>(); ++q) {
      const SquadQuestion& question = squad.questions[static_cast<std::size_t>(q)];
      for (const Row& row : rows(question.question, squad.contexts[static_cast<std::size_t>(question.context)], &question.answers[0],
                                 entry["max_length"], entry["stride"])) {
        add_row(published, row, row.published), add_row(in_context, row, row.label), add(offsets, row.offsets);
        ++features, cls += row.label.end == 0;
      }
    }
    EXPECT_EQ(features, entry["features"].get<std::int64_t>());
    EXPECT_EQ(cls, entry["labelled_cls"].get<std::int64_t>());
    EXPECT_EQ(published.hex(), entry["sha256"].get<std::string>());
    EXPECT_EQ(in_context.hex(), entry["sha256_start_in_context"].get<std::string>());
    EXPECT_EQ(offsets.hex(), entry["offsets_sha256"].get<std::string>());
  }
}

TEST_F(SquadFeatures, OddExamples) {
  for (const json& odd : reference_["odd"]) {
    SCOPED_TRACE(odd["name"].get<std::string>());
    SquadAnswer answer;
    if (!odd["answers"].empty())
      answer = {odd["answers"][0]["text"].get<std::string>(), odd["answers"][0]["answer_start"].get<std::int64_t>()};
    const auto make = [&] {
      return rows(odd["question"].get<std::string>(), odd["context"].get<std::string>(), odd["answers"].empty() ? nullptr : &answer,
                  odd["max_length"], odd["stride"]);
    };
    if (odd.contains("error")) {
      EXPECT_THROW(make(), DataError);
      continue;
    }
    const std::vector<Row> found = make();
    ASSERT_EQ(found.size(), odd["features"].size());
    for (std::size_t k = 0; k < found.size(); ++k) {
      const json& expected = odd["features"][k];
      std::vector<std::int32_t> offsets;
      for (const auto& pair : expected["offsets"]) offsets.push_back(pair[0]), offsets.push_back(pair[1]);
      EXPECT_EQ(found[k].ids, expected["input_ids"].get<std::vector<std::int32_t>>());
      EXPECT_EQ(found[k].types, expected["token_type_ids"].get<std::vector<std::int32_t>>());
      EXPECT_EQ(found[k].mask, expected["attention_mask"].get<std::vector<std::int32_t>>());
      EXPECT_EQ(found[k].offsets, offsets);
      EXPECT_EQ(found[k].published, (LabelledSpan{expected["start"], expected["end"]}));
      EXPECT_EQ(found[k].label.start, expected.value("start_in_context", expected["start"].get<std::int64_t>()));
    }
  }
}

TEST_F(SquadFeatures, TheFileHoldsTheSame) {
  TemporaryFolder folder;
  PrepareConfig config;
  config.format = "squad", config.output = folder / "dev.h5";
  config.input = {(shared_dir() / "data/squad/xquad.en.json").string()};
  DataConfig data;
  data.sequence = 384;
  PrepareTools tools;
  tools.tokenizer = tokenizer_.get(), tools.tokenizer_name = "bert-base-uncased";

  prepare(*make_self_communicator(), config, data, tools);

  const FeatureFile file(config.output);
  const json& entry = reference_["files"][0];
  ASSERT_EQ(entry["file"], "squad/xquad.en.json");
  Sha256 hash;
  for (std::int64_t k = 0; k < file.info().features; ++k) {
    Row row{std::vector<std::int32_t>(384), std::vector<std::int32_t>(384), {}, {}, {}, {}};
    const Feature feature = file.row(k, row.ids.data(), row.types.data());
    for (std::int64_t i = 0; i < 384; ++i) row.mask.push_back(i < feature.used);
    add_row(hash, row, feature.label);
  }
  EXPECT_EQ(hash.hex(), entry["sha256_start_in_context"].get<std::string>());
  EXPECT_EQ(file.info().questions, 1190);
  EXPECT_EQ(file.info().features, 1219);
  EXPECT_EQ(file.info().unlabelled, 25);
}

}  // namespace
}  // namespace strata::test
