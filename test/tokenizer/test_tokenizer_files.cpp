// What is said about tokenizer files that are missing, damaged or not known, and which file of a folder is taken.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "strata/base/error.hpp"
#include "support/support.hpp"
#include "tokenizer/golden.hpp"

namespace strata::test {
namespace {
using nlohmann::json;

json small_json(const std::string& name = "small_qwen") {
  return read_json(data_file("tokenizer/" + name + "/tokenizer.json"));
}

/// The message for a tokenizer.json in which `change` has been made; "loaded" if there is none. The file's name must be in it.
std::string refusal(const std::function<void(json&)>& change, const std::string& name = "small_qwen") {
  TemporaryFolder folder;
  json root = small_json(name);
  change(root);
  write_file(folder / "tokenizer.json", root.dump());
  try {
    load_tokenizer(folder.path());
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find((folder / "tokenizer.json").string()), std::string::npos) << error.what();
    return error.what();
  }
  return "loaded";
}

void expect_refusal(const std::string& words, const std::function<void(json&)>& change) {
  const std::string message = refusal(change);
  EXPECT_NE(message.find(words), std::string::npos) << "expected '" << words << "', found: " << message;
}

TEST(TokenizerFiles, UnknownPartsAreRefusedByName) {
  expect_refusal("the model 'Unigram' is not known", [](json& j) { j["model"]["type"] = "Unigram"; });
  expect_refusal("is not known to Strata for WordPiece", [](json& j) { j["model"]["type"] = "WordPiece"; });
  expect_refusal("dropout = 0.1", [](json& j) { j["model"]["dropout"] = 0.1; });
  expect_refusal("end_of_word_suffix = '</w>'", [](json& j) { j["model"]["end_of_word_suffix"] = "</w>"; });
  expect_refusal("NFKC", [](json& j) { j["normalizer"]["type"] = "NFKC"; });
  expect_refusal("Lowercase", [](json& j) {
    j["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}, {{"type", "Lowercase"}}}}};
  });
  expect_refusal("Metaspace", [](json& j) { j["pre_tokenizer"] = {{"type", "Metaspace"}}; });
  expect_refusal("the pre-tokenizer null", [](json& j) { j["pre_tokenizer"] = nullptr; });
  expect_refusal("the split pattern 'abc'", [](json& j) { j["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = "abc"; });
  expect_refusal("the Split pre-tokenizer", [](json& j) { j["pre_tokenizer"]["pretokenizers"][0]["behavior"] = "Removed"; });
  expect_refusal("add_prefix_space = true", [](json& j) { j["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true; });
  expect_refusal("use_regex = true", [](json& j) { j["pre_tokenizer"]["pretokenizers"][1]["use_regex"] = true; });
  expect_refusal("the post-processor", [](json& j) { j["post_processor"] = {{"type", "BertProcessing"}}; });
  expect_refusal("the decoder", [](json& j) { j["decoder"] = {{"type", "WordPiece"}}; });
  for (const char* flag : {"lstrip", "rstrip", "single_word"})
    expect_refusal(text("'<|im_end|>' has ", flag, " = true"), [&](json& j) { j["added_tokens"][2][flag] = true; });
}

TEST(TokenizerFiles, WrongContentIsNamed) {
  expect_refusal("no \"model\" object", [](json& j) { j.erase("model"); });
  expect_refusal("the vocabulary is expected to be a JSON object", [](json& j) { j["model"]["vocab"] = json::array(); });
  expect_refusal("the id of token 'a' is expected to be a whole number", [](json& j) { j["model"]["vocab"]["a"] = "one"; });
  expect_refusal("the id of token 'a'", [](json& j) { j["model"]["vocab"]["a"] = -1; });
  expect_refusal("the id of token 'a'", [](json& j) { j["model"]["vocab"]["a"] = 4000000000u; });
  expect_refusal("is given to two tokens", [](json& j) { j["model"]["vocab"]["a"] = j["model"]["vocab"]["b"]; });
  expect_refusal("no token stands for the byte 97 ('a')",
                 [](json& j) { j["model"]["vocab"].erase("a"), j["model"]["merges"] = json::array(); });
  expect_refusal("merge 3, 'qq zz', needs the token 'qq'", [](json& j) { j["model"]["merges"][2] = {"qq", "zz"}; });
  expect_refusal("merge 1 is expected to be two tokens with one blank", [](json& j) { j["model"]["merges"][0] = "abc"; });
  expect_refusal("merge 1 is expected to be \"a b\"", [](json& j) { j["model"]["merges"][0] = 7; });
  expect_refusal("model.merges is expected to be a list", [](json& j) { j["model"]["merges"] = 1; });
  expect_refusal("the added token '<|im_end|>' has id 0, which", [](json& j) { j["added_tokens"][2]["id"] = 0; });
  expect_refusal("an added token is expected to have a number as its id", [](json& j) { j["added_tokens"][2].erase("id"); });
  expect_refusal("an added token is expected to have a text as its content", [](json& j) { j["added_tokens"][2]["content"] = ""; });
  expect_refusal("special of the added token", [](json& j) { j["added_tokens"][2]["special"] = "yes"; });
}

TEST(TokenizerFiles, HarmlessVariantsAreTheSame) {
  const auto plain = load_tokenizer(data_file("tokenizer/small_qwen"));
  const auto same = [&](const std::function<void(json&)>& change) {
    TemporaryFolder folder;
    json root = small_json();
    change(root);
    write_file(folder / "tokenizer.json", root.dump(2));
    EXPECT_EQ(load_tokenizer(folder.path())->hash(), plain->hash());
  };
  same([](json& j) {
    for (auto& merge : j["model"]["merges"]) merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  });
  same([](json& j) { j["normalizer"] = {{"type", "Sequence"}, {"normalizers", {{{"type", "NFC"}}}}}; });
  same([](json& j) { j["model"].erase("type"), j["post_processor"] = nullptr; });
  same([](json& j) { j["truncation"] = {{"max_length", 5}}; });
  same([](json& j) { std::reverse(j["added_tokens"].begin(), j["added_tokens"].end()); });
}

TEST(TokenizerFiles, EverythingThatDecidesIdsChangesTheHash) {
  const auto hash = [](const std::function<void(json&)>& change) {
    TemporaryFolder folder;
    json root = small_json();
    change(root);
    write_file(folder / "tokenizer.json", root.dump());
    return load_tokenizer(folder.path())->hash();
  };
  std::vector<std::string> hashes = {hash([](json&) {}),
                                     hash([](json& j) { j["normalizer"] = nullptr; }),
                                     hash([](json& j) { j["model"]["ignore_merges"] = true; }),
                                     hash([](json& j) { j["added_tokens"].erase(4); }),
                                     hash([](json& j) { j["added_tokens"][0]["normalized"] = true; }),
                                     hash([](json& j) { std::swap(j["model"]["merges"][0], j["model"]["merges"][1]); }),
                                     hash([](json& j) { j["model"]["merges"].erase(399); }),
                                     hash([](json& j) { std::swap(j["model"]["vocab"]["a"], j["model"]["vocab"]["b"]); })};
  std::sort(hashes.begin(), hashes.end());
  EXPECT_EQ(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

TEST(TokenizerFiles, IgnoreMergesTakesWholeWords) {
  TemporaryFolder folder;
  json root = small_json();
  root["model"]["ignore_merges"] = true;
  root["model"]["vocab"]["zqzq"] = 900;  // no merge makes it
  write_file(folder / "tokenizer.json", root.dump());
  const auto tokenizer = load_tokenizer(folder.path());
  EXPECT_EQ(tokenizer->encode("zqzq"), (std::vector<TokenId>{900}));
  EXPECT_GT(tokenizer->encode("zqzqz").size(), 1u);
  EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{800, 900}), "zqzq") << "800 is no token";
}

TEST(TokenizerFiles, NormalizedAddedTokensAreFoundAfterNormalisation) {
  TemporaryFolder folder;
  json root = small_json();
  root["added_tokens"][3]["normalized"] = true;
  root["added_tokens"][3]["content"] = "<caf\xc3\xa9>";
  write_file(folder / "tokenizer.json", root.dump());
  const auto tokenizer = load_tokenizer(folder.path());
  const auto id = tokenizer->id_of("<caf\xc3\xa9>");
  EXPECT_EQ(tokenizer->encode("<cafe\xcc\x81>"), (std::vector<TokenId>{*id}));
  EXPECT_EQ(tokenizer->encode("<|im_end|><cafe\xcc\x81>").size(), 2u);
}

std::string loading(const std::filesystem::path& path) {
  try {
    load_tokenizer(path);
  } catch (const DataError& error) {
    return error.what();
  }
  return "loaded";
}

TEST(TokenizerFiles, MissingAndDamagedFiles) {
  TemporaryFolder folder;
  EXPECT_THAT(loading(""), ::testing::HasSubstr("no tokenizer is named"));
  EXPECT_THAT(loading(folder / "nowhere"), ::testing::HasSubstr("there is no such file or folder"));
  EXPECT_THAT(loading(folder.path()), ::testing::HasSubstr("holds no tokenizer"));
  write_file(folder / "vocab.txt", "[PAD]\n");
  EXPECT_THAT(loading(folder / "vocab.txt"), ::testing::HasSubstr("'[UNK]', is expected in the vocabulary"));
  write_file(folder / "vocab.json", "{\"a\": 0}");
  EXPECT_THAT(loading(folder.path()), ::testing::HasSubstr("merges.txt is expected beside it"));
  write_file(folder / "merges.txt", "#version: 0.2\n");
  EXPECT_THAT(loading(folder.path()), ::testing::HasSubstr("holds no merges"));
  write_file(folder / "merges.txt", "a b c\n");
  EXPECT_THAT(loading(folder.path()), ::testing::HasSubstr("two tokens with one blank"));
  for (const char* damaged : {"", "{", "[1, 2]", "{\"model\": {\"vocab\": {\"\xff\": 1}}}", "7"}) {
    write_file(folder / "tokenizer.json", damaged);
    EXPECT_THAT(loading(folder.path()), ::testing::HasSubstr((folder / "tokenizer.json").string())) << damaged;
  }
  write_file(folder / "tokenizer.json", std::string(100000, '['));
  EXPECT_THAT(loading(folder.path()), ::testing::HasSubstr("deeper"));
}

class VocabFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : {"vocab.json", "merges.txt", "tokenizer_config.json"})
      std::filesystem::copy_file(data_file(std::string("tokenizer/small_qwen_files/") + name), folder_ / name);
  }
  void configure(const std::function<void(json&)>& change) {
    json config = read_json(data_file("tokenizer/small_qwen_files/tokenizer_config.json"));
    change(config);
    write_file(folder_ / "tokenizer_config.json", config.dump());
  }
  std::string message() { return loading(folder_.path()); }
  TemporaryFolder folder_;
};

TEST_F(VocabFolder, TheClassDecidesTheSplit) {
  const auto qwen = load_tokenizer(folder_.path());
  configure([](json& c) { c["tokenizer_class"] = "GPT2TokenizerFast"; });
  const auto gpt2 = load_tokenizer(folder_.path());
  EXPECT_EQ(gpt2->hash(), load_tokenizer(data_file("tokenizer/small_gpt2"))->hash());
  EXPECT_NE(gpt2->hash(), qwen->hash());
  configure([](json& c) { c["tokenizer_class"] = "CodeGenTokenizer"; });
  EXPECT_THAT(message(), ::testing::HasSubstr("names 'CodeGenTokenizer'"));
  configure([](json& c) { c.erase("tokenizer_class"); });
  EXPECT_EQ(load_tokenizer(folder_.path())->hash(), qwen->hash()) << "<|endoftext|> is not in vocab.json";
  write_file(folder_ / "config.json", R"({"model_type": "gpt2"})");
  EXPECT_EQ(load_tokenizer(folder_.path())->hash(), gpt2->hash());
}

TEST_F(VocabFolder, AFolderOfAModelUsesTheVocabularyAboveIt) {
  const auto expected = load_tokenizer(folder_.path())->hash();
  std::filesystem::create_directory(folder_ / "model");
  std::filesystem::rename(folder_ / "tokenizer_config.json", folder_.path() / "model" / "tokenizer_config.json");
  EXPECT_EQ(load_tokenizer(folder_ / "model")->hash(), expected);
  EXPECT_EQ(load_tokenizer(folder_ / "model/")->hash(), expected);
  EXPECT_EQ(load_tokenizer(folder_.path())->vocabulary(), 656) << "no added tokens beside it";
}

TEST_F(VocabFolder, AddedTokensOfTheOlderFile) {
  configure([](json& c) { c.erase("added_tokens_decoder"), c["eos_token"] = {{"content", "<|b|>"}}; });
  write_file(folder_ / "added_tokens.json", R"({"<|a|>": 656, "<|b|>": 657})");
  const auto tokenizer = load_tokenizer(folder_.path());
  EXPECT_EQ(tokenizer->encode("<|b|><|a|>"), (std::vector<TokenId>{657, 656}));
  EXPECT_EQ(tokenizer->eos(), 657u);
  EXPECT_TRUE(tokenizer->is_special(656));
}

TEST_F(VocabFolder, EndAndBegin) {
  configure([](json& c) { c["eos_token"] = "<gone>"; });
  EXPECT_THAT(message(), ::testing::HasSubstr("eos_token is '<gone>', which is no token"));
  configure([](json& c) { c.erase("eos_token"), c.erase("bos_token"); });
  EXPECT_EQ(load_tokenizer(folder_.path())->eos(), std::nullopt);
  write_file(folder_ / "config.json", R"({"eos_token_id": 5, "bos_token_id": 6})");
  EXPECT_EQ(load_tokenizer(folder_.path())->eos(), 5u);
  write_file(folder_ / "generation_config.json", R"({"eos_token_id": [658, 656]})");
  const auto tokenizer = load_tokenizer(folder_.path());
  EXPECT_EQ(tokenizer->eos(), 658u);
  EXPECT_EQ(tokenizer->bos(), 6u);
  write_file(folder_ / "generation_config.json", R"({"eos_token_id": 151645})");
  EXPECT_THAT(message(), ::testing::HasSubstr("give 151645 as the id of the end of text, but no token has that id"));
  write_file(folder_ / "generation_config.json", R"({"eos_token_id": "x"})");
  EXPECT_THAT(message(), ::testing::HasSubstr("eos_token_id is expected to be a token's id"));
}

TEST_F(VocabFolder, Gpt2KeepsItsEndInTheVocabulary) {
  std::filesystem::remove(folder_ / "tokenizer_config.json");
  json vocab = read_json(folder_ / "vocab.json");
  vocab["<|endoftext|>"] = 656;
  write_file(folder_ / "vocab.json", vocab.dump());
  const auto tokenizer = load_tokenizer(folder_.path());
  EXPECT_EQ(tokenizer->encode("<|endoftext|>"), (std::vector<TokenId>{656}));
  EXPECT_EQ(tokenizer->eos(), 656u);
  EXPECT_EQ(tokenizer->decode(std::vector<TokenId>{656}, true), "");
  EXPECT_EQ(tokenizer->encode("12"), load_tokenizer(data_file("tokenizer/small_gpt2"))->encode("12"));
}

}  // namespace
}  // namespace strata::test
