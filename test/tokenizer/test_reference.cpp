// Ids and texts equal Hugging Face tokenizers and sentencepiece on everything recorded in shared/golden/text. Needs shared/.
#include <gtest/gtest.h>

#include "strata/io/file.hpp"
#include "support/support.hpp"
#include "tokenizer/golden.hpp"

namespace strata::test {
namespace {
namespace fs = std::filesystem;

class Reference : public ::testing::Test {
 protected:
  void SetUp() override {
    if (shared_dir().empty()) GTEST_SKIP() << "the references in shared/ are not beside the repository";
    golden_ = shared_dir() / "golden" / "text";
    data_ = shared_dir() / "data";
  }
  fs::path golden_, data_;
};

TEST_F(Reference, QwenCasesAndDecodes) {
  const auto tokenizer = load_tokenizer(golden_ / "qwen3_tokenizer.json");
  EXPECT_EQ(tokenizer->vocabulary(), 151669);
  expect_cases(*tokenizer, read_json(golden_ / "tokenizer_qwen.json"));
}

TEST_F(Reference, QwenEveryCodePoint) {
  expect_sweep(*load_tokenizer(golden_ / "qwen3_tokenizer.json"), read_json(golden_ / "tokenizer_qwen.json"));
}

TEST_F(Reference, QwenFromVocabAndMergesIsTheSame) {
  const auto json = load_tokenizer(golden_ / "qwen3_tokenizer.json");

  const auto files = load_tokenizer(data_ / "qwen-tokenizer" / "Qwen3-0.6B");

  EXPECT_EQ(files->hash(), json->hash());
  expect_cases(*files, read_json(golden_ / "tokenizer_qwen.json"));
  EXPECT_EQ(files->eos(), 151645u);
  EXPECT_EQ(files->bos(), std::nullopt) << "tokenizer_config.json says null";
  EXPECT_EQ(json->eos(), std::nullopt) << "nothing beside that file says it";
}

TEST_F(Reference, QwenVocabularyAloneHasNoAddedTokens) {
  const auto plain = load_tokenizer(data_ / "qwen-tokenizer");
  EXPECT_EQ(plain->vocabulary(), 151643);
  EXPECT_EQ(plain->id_of("<|im_end|>"), std::nullopt);
  EXPECT_EQ(plain->encode("Hello world"), (std::vector<TokenId>{9707, 1879}));
  const auto qwen2 = load_tokenizer(data_ / "qwen-tokenizer" / "Qwen2-1.5B-Instruct");
  EXPECT_EQ(qwen2->vocabulary(), 151646);
  EXPECT_EQ(qwen2->eos(), 151645u);
  EXPECT_NE(qwen2->hash(), plain->hash());
}

TEST_F(Reference, QwenPublishedCases) {
  const auto tokenizer = load_tokenizer(data_ / "qwen-tokenizer" / "Qwen2-1.5B-Instruct");
  const std::string texts = read_file(data_ / "tokenizer-tests" / "ggml-vocab-qwen2.gguf.inp");
  std::istringstream lines(read_file(data_ / "tokenizer-tests" / "ggml-vocab-qwen2.gguf.out"));
  const std::string mark = "\n__ggml_vocab_test__\n";
  int count = 0;
  std::size_t at = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const std::size_t stop = texts.find(mark, at);
    ASSERT_NE(stop, std::string::npos);
    std::istringstream numbers(line);
    std::vector<TokenId> ids;
    for (TokenId id; numbers >> id;) ids.push_back(id);
    EXPECT_EQ(tokenizer->encode(texts.substr(at, stop - at)), ids) << "case " << count;
    at = stop + mark.size();
  }
  EXPECT_EQ(count, 46);
}

std::string hash_of_ids(const std::vector<TokenId>& ids) {
  Sha256 hash;
  hash.add_ids(ids);
  return hash.hex();
}

void expect_lines(const Tokenizer& tokenizer, const std::string& content, bool with_newline, const nlohmann::json& row) {
  std::vector<TokenId> ids, counts;
  for (std::size_t at = 0; at < content.size();) {
    const std::size_t stop = std::min(content.find('\n', at), content.size());
    const std::size_t before = ids.size();
    tokenizer.encode_to(std::string_view(content).substr(at, stop - at + (with_newline && stop < content.size())), ids);
    counts.push_back(static_cast<TokenId>(ids.size() - before));
    at = stop + 1;
  }
  EXPECT_EQ(counts.size(), row["lines"].get<std::size_t>());
  EXPECT_EQ(ids.size(), row["tokens"].get<std::size_t>());
  EXPECT_EQ(hash_of_ids(ids), row["ids_sha256"].get<std::string>());
  EXPECT_EQ(hash_of_ids(counts), row["counts_sha256"].get<std::string>());
}

TEST_F(Reference, QwenWikitext) {
  const auto tokenizer = load_tokenizer(golden_ / "qwen3_tokenizer.json");
  const auto golden = read_json(golden_ / "tokenizer_qwen_files.json");
  for (const auto& row : golden["files"]) {
    const std::string content = read_file(data_ / row["file"].get<std::string>());
    const auto ids = tokenizer->encode(content);
    EXPECT_EQ(ids.size(), row["whole"]["tokens"].get<std::size_t>());
    EXPECT_EQ(hash_of_ids(ids), row["whole"]["ids_sha256"].get<std::string>());
    expect_lines(*tokenizer, content, true, row["lines_with_newline"]);
    expect_lines(*tokenizer, content, false, row["lines_without_newline"]);
  }
}

TEST_F(Reference, Gpt2CasesDecodesAndEveryCodePoint) {
  const auto tokenizer = load_tokenizer(data_ / "gpt2-tokenizer");
  const auto reference = read_json(golden_ / "tokenizer_gpt2.json");
  EXPECT_EQ(tokenizer->vocabulary(), 50257);
  expect_cases(*tokenizer, reference);
  expect_sweep(*tokenizer, reference);
}

TEST_F(Reference, MistralCasesDecodesAndEveryCodePoint) {
  const auto tokenizer = load_tokenizer(data_ / "sentencepiece" / "mistral.tokenizer.model.v1");
  const auto reference = read_json(golden_ / "tokenizer_mistral_sp.json");
  EXPECT_EQ(tokenizer->vocabulary(), 32000);
  EXPECT_EQ(tokenizer->bos(), 1u);
  EXPECT_EQ(tokenizer->eos(), 2u);
  EXPECT_EQ(tokenizer->kind(), std::string("sentencepiece"));
  expect_cases(*tokenizer, reference);
  expect_sweep(*tokenizer, reference);
}

TEST_F(Reference, FolderWithoutTokenizerIsRefused) {
  try {
    load_tokenizer(data_ / "squad");
    FAIL() << "loaded";
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find("holds no tokenizer"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace strata::test
