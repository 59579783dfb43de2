// WordPiece: ids, character ranges and decoded text equal Hugging Face's, from vocab.txt and tokenizer.json; what is refused, and why.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strata/base/error.hpp"
#include "support/support.hpp"
#include "tokenizer/golden.hpp"

namespace strata::test {
namespace {
using nlohmann::json;
namespace fs = std::filesystem;

struct Ranged {
  std::vector<TokenId> ids;
  std::vector<std::vector<std::uint32_t>> ranges;
  bool operator==(const Ranged&) const = default;
};

Ranged ranged(const Tokenizer& tokenizer, const std::string& sample) {
  Ranged result;
  std::vector<TextRange> ranges;
  tokenizer.encode_with_ranges(sample, result.ids, ranges);
  for (const TextRange& range : ranges) result.ranges.push_back({range.first, range.end});
  return result;
}

Ranged recorded(const json& row) {
  return {row["ids"].get<std::vector<TokenId>>(), row["offsets"].get<std::vector<std::vector<std::uint32_t>>>()};
}

void expect_ranged(const Tokenizer& tokenizer, const json& rows) {
  ASSERT_FALSE(rows.empty());
  for (const json& row : rows) EXPECT_EQ(ranged(tokenizer, row["text"].get<std::string>()), recorded(row)) << row.dump().substr(0, 500);
}

/// small_bert with a tokenizer_config.json of these settings.
std::unique_ptr<Tokenizer> small(const json& settings) {
  TemporaryFolder folder;
  fs::copy_file(data_file("tokenizer/small_bert/vocab.txt"), folder / "vocab.txt");
  if (!settings.is_null()) write_file(folder / "tokenizer_config.json", settings.dump());
  return load_tokenizer(folder.path());
}

std::string refusal(const json& settings) {
  try {
    small(settings);
  } catch (const DataError& error) {
    return error.what();
  }
  return "loaded";
}

json small_reference() {
  return read_json(data_file("tokenizer/small_bert.json"));
}

TEST(WordPiece, RecordedCasesInEverySetting) {
  const json reference = small_reference();
  for (const auto& [name, form] : reference["forms"].items()) {
    SCOPED_TRACE(name);
    const auto tokenizer = small(form["settings"]);
    expect_cases(*tokenizer, {{"cases", form["cases"]}, {"decodes", reference["decodes"]}});
    expect_ranged(*tokenizer, form["cases"]);
  }
}

TEST(WordPiece, TokenizerJsonWithAddedTokens) {
  const json added = small_reference()["added"];
  TemporaryFolder folder;
  write_file(folder / "tokenizer.json", added["tokenizer"].dump());

  const auto tokenizer = load_tokenizer(folder.path());

  EXPECT_EQ(tokenizer->kind(), std::string("wordpiece"));
  expect_cases(*tokenizer, {{"cases", added["cases"]}, {"decodes", json::array()}});
  expect_ranged(*tokenizer, added["cases"]);
}

TEST(WordPiece, BothFormsHaveOneHash) {
  const auto lines = small(nullptr);
  json root = small_reference()["added"]["tokenizer"];
  root["added_tokens"].erase(root["added_tokens"].begin() + 5, root["added_tokens"].end());
  TemporaryFolder folder;
  write_file(folder / "tokenizer.json", root.dump());

  EXPECT_EQ(load_tokenizer(folder / "tokenizer.json")->hash(), lines->hash());
  for (const char* key : {"do_lower_case", "tokenize_chinese_chars", "strip_accents"})
    EXPECT_NE(small({{key, false}})->hash(), lines->hash());
  EXPECT_EQ(small({{"do_lower_case", true}, {"strip_accents", nullptr}})->hash(), lines->hash());
}

TEST(WordPiece, SpecialTokensFramePairs) {
  const auto tokenizer = small(nullptr);
  const auto pair = tokenizer->pair_tokens();
  ASSERT_TRUE(pair);
  EXPECT_EQ(tokenizer->token_of(pair->cls), "[CLS]");
  EXPECT_EQ(tokenizer->token_of(pair->sep), "[SEP]");
  EXPECT_EQ(tokenizer->token_of(pair->pad), "[PAD]");
  EXPECT_TRUE(tokenizer->is_special(pair->sep));
  EXPECT_EQ(tokenizer->eos(), std::nullopt);
  EXPECT_EQ(small({{"eos_token", "[SEP]"}})->eos(), pair->sep);
}

TEST(WordPiece, WordsOfMoreThanAHundredCharactersAreUnknown) {
  const auto tokenizer = small(nullptr);
  const TokenId unknown = *tokenizer->id_of("[UNK]");
  std::string word;
  for (int i = 0; i < 100; ++i) word += "\xc3\xa9";
  EXPECT_EQ(ranged(*tokenizer, word).ids.size(), 100u);
  EXPECT_EQ(ranged(*tokenizer, word + "e"), (Ranged{{unknown}, {{0, 101}}}));
}

TEST(WordPiece, LongTextsInStretchesAreTheSame) {
  const auto tokenizer = small(nullptr);
  const std::string piece = "The caf\xc3\xa9 of \xe4\xb8\xad\xe6\x96\x87, don't. ";
  std::string whole;
  std::vector<TokenId> expected;
  while (whole.size() < 200000) whole += piece, tokenizer->encode_to(piece, expected);
  const Ranged found = ranged(*tokenizer, whole);
  EXPECT_EQ(found.ids, expected);
  const auto characters = static_cast<std::uint32_t>(whole.size() / piece.size() * 23);
  EXPECT_EQ(found.ranges.back(), (std::vector<std::uint32_t>{characters - 2, characters - 1}));
}

TEST(WordPiece, BytesThatAreNoTextAreUnknownAndKeepTheirPlaces) {
  const auto tokenizer = small(nullptr);
  const Ranged found = ranged(*tokenizer, "a \xff\xfe b");
  EXPECT_EQ(found.ids, (std::vector<TokenId>{*tokenizer->id_of("a"), *tokenizer->id_of("[UNK]"), *tokenizer->id_of("b")}));
  EXPECT_EQ(found.ranges[2], (std::vector<std::uint32_t>{5, 6}));
}

TEST(WordPiece, WhatIsNotKnownIsRefused) {
  using ::testing::HasSubstr;
  EXPECT_THAT(refusal({{"tokenizer_class", "BertJapaneseTokenizer"}}), HasSubstr("'BertJapaneseTokenizer', and how that reads vocab.txt"));
  EXPECT_THAT(refusal({{"do_lower_case", "yes"}}), HasSubstr("do_lower_case is expected to be true, false or null, found 'yes'"));
  EXPECT_THAT(refusal({{"do_basic_tokenize", false}}), HasSubstr("do_basic_tokenize = false"));
  EXPECT_THAT(refusal({{"unk_token", "<unk>"}}), HasSubstr("'<unk>', is expected in the vocabulary"));
  EXPECT_THAT(refusal({{"never_split", {"[MASK]", "New York"}}}), HasSubstr("never_split names 'New York'"));
  EXPECT_EQ(refusal({{"never_split", {"[MASK]", "[CLS]"}}}), "loaded");
  EXPECT_EQ(refusal({{"tokenizer_class", "DistilBertTokenizer"}}), "loaded");
  json root = small_reference()["added"]["tokenizer"];
  TemporaryFolder folder;
  const auto json_refusal = [&](const char* where, const json& change) {
    json other = root;
    other.merge_patch({{where, change}});
    write_file(folder / "tokenizer.json", other.dump());
    try {
      load_tokenizer(folder.path());
    } catch (const DataError& error) {
      return std::string(error.what());
    }
    return std::string("loaded");
  };
  EXPECT_EQ(json_refusal("padding", nullptr), "loaded");
  EXPECT_THAT(json_refusal("pre_tokenizer", {{"type", "Whitespace"}}), HasSubstr("BertPreTokenizer"));
  EXPECT_THAT(json_refusal("normalizer", {{"type", "Lowercase"}}), HasSubstr("BertNormalizer"));
  EXPECT_THAT(json_refusal("normalizer", {{"clean_text", false}}), HasSubstr("clean_text = true"));
  EXPECT_THAT(json_refusal("model", {{"max_input_chars_per_word", 0}}), HasSubstr("max_input_chars_per_word"));
}

TEST(WordPiece, OtherKindsHaveNoPlaces) {
  std::vector<TokenId> ids;
  std::vector<TextRange> ranges;
  const auto bpe = load_tokenizer(data_file("tokenizer/small_qwen"));
  EXPECT_EQ(bpe->pair_tokens(), std::nullopt);
  EXPECT_THROW(bpe->encode_with_ranges("a", ids, ranges), DataError);
}

class BertReference : public ::testing::Test {
 protected:
  void SetUp() override {
    if (shared_dir().empty()) GTEST_SKIP() << "the references in shared/ are not beside the repository";
    reference_ = read_json(shared_dir() / "golden/text/tokenizer_bert.json");
  }
  std::unique_ptr<Tokenizer> tokenizer(bool lower) const {
    TemporaryFolder folder;
    fs::copy_file(shared_dir() / "data/bert-base-uncased/vocab.txt", folder / "vocab.txt");
    write_file(folder / "tokenizer_config.json", json{{"do_lower_case", lower}}.dump());
    return load_tokenizer(folder.path());
  }
  json reference_;
};

/// [CLS] text [SEP] second [SEP], the tokens that are added with the range 0 to 0, as the reference has them.
Ranged framed(const Tokenizer& tokenizer, const json& row) {
  const PairTokens frame = *tokenizer.pair_tokens();
  Ranged all{{frame.cls}, {{0, 0}}};
  for (const char* part : {"text", "second"}) {
    if (!row.contains(part)) continue;
    const Ranged one = ranged(tokenizer, row[part].get<std::string>());
    all.ids.insert(all.ids.end(), one.ids.begin(), one.ids.end());
    all.ranges.insert(all.ranges.end(), one.ranges.begin(), one.ranges.end());
    all.ids.push_back(frame.sep), all.ranges.push_back({0, 0});
  }
  return all;
}

TEST_F(BertReference, CasesOfBothForms) {
  for (const bool lower : {true, false}) {
    const auto bert = tokenizer(lower);
    EXPECT_EQ(bert->vocabulary(), 30522);
    for (const json& row : reference_[lower ? "uncased" : "cased"])
      EXPECT_EQ(framed(*bert, row), recorded(row)) << row.dump().substr(0, 500);
  }
}

TEST_F(BertReference, EveryCodePoint) {
  for (const bool lower : {true, false}) {
    const auto bert = tokenizer(lower);
    const json& blocks = reference_[lower ? "uncased_sweep" : "cased_sweep"];
    for (std::uint32_t k = 0; k < 272; ++k)
      EXPECT_EQ(sweep_block(*bert, k), blocks[k].get<std::string>()) << "code points from " << k * 4096;
  }
}

TEST_F(BertReference, PublishedCases) {
  const auto bert = load_tokenizer(shared_dir() / "data/bert-base-uncased");
  const fs::path folder = shared_dir() / "data/tokenizer-tests";
  const std::string texts = read_file(folder / "ggml-vocab-bert-bge.gguf.inp"), mark = "\n__ggml_vocab_test__\n";
  std::istringstream lines(read_file(folder / "ggml-vocab-bert-bge.gguf.out"));
  std::size_t at = 0, count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const std::size_t stop = texts.find(mark, at);
    ASSERT_NE(stop, std::string::npos);
    std::istringstream numbers(line);
    std::vector<TokenId> ids;
    for (TokenId id; numbers >> id;) ids.push_back(id);
    EXPECT_EQ(bert->encode(texts.substr(at, stop - at)), ids) << "case " << count;
    at = stop + mark.size();
  }
  EXPECT_EQ(count, 46u);
}

}  // namespace
}  // namespace strata::test
