// Byte-level BPE on the small tokenizers of test/data: ids, every code point, round trips, streaming, threads, long words.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <map>
#include <thread>

#include "support/support.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/golden.hpp"
#include "strata/tokenizer/nfc.hpp"
#include "tokenizer/pre_tokenizer.hpp"

namespace strata::test {
namespace {

std::unique_ptr<Tokenizer> small(const std::string& name) {
  return load_tokenizer(data_file("tokenizer/" + name));
}
nlohmann::json recorded(const std::string& name) {
  return read_json(data_file("tokenizer/" + name));
}

TEST(ByteBpe, QwenCasesAndEveryCodePoint) {
  const auto tokenizer = small("small_qwen");
  EXPECT_EQ(tokenizer->vocabulary(), 256 + 400 + 5);
  expect_cases(*tokenizer, recorded("small_qwen.json"));
  expect_sweep(*tokenizer, recorded("small_qwen.json"));
}

TEST(ByteBpe, Gpt2CasesAndEveryCodePoint) {
  const auto tokenizer = small("small_gpt2");
  expect_cases(*tokenizer, recorded("small_gpt2.json"));
  expect_sweep(*tokenizer, recorded("small_gpt2.json"));
}

TEST(ByteBpe, AllFormsOfAFileGiveOneHash) {
  const auto json = small("small_qwen"), files = small("small_qwen_files"), gpt2 = small("small_gpt2");
  EXPECT_EQ(json->hash(), files->hash());
  EXPECT_EQ(json->hash(), small("small_qwen/tokenizer.json")->hash());
  EXPECT_EQ(json->hash(), small("small_qwen_files/vocab.json")->hash());
  EXPECT_EQ(json->hash().size(), 32u);
  EXPECT_NE(json->hash(), gpt2->hash()) << "the split differs";
  expect_cases(*files, recorded("small_qwen.json"));
}

TEST(ByteBpe, NamesAndNumbers) {
  const auto tokenizer = small("small_qwen_files");
  EXPECT_STREQ(tokenizer->kind(), "byte_bpe");
  for (TokenId id = 0; id < 661; ++id) EXPECT_EQ(tokenizer->id_of(tokenizer->token_of(id)), id);
  EXPECT_EQ(tokenizer->token_of(661), "");
  EXPECT_EQ(tokenizer->bytes_of(4000000000u), "");
  EXPECT_EQ(tokenizer->id_of("no such token"), std::nullopt);
  EXPECT_EQ(tokenizer->eos(), tokenizer->id_of("<|im_end|>"));
  EXPECT_EQ(tokenizer->bos(), std::nullopt);
  EXPECT_TRUE(tokenizer->is_special(*tokenizer->id_of("<|im_end|>")));
  EXPECT_FALSE(tokenizer->is_special(*tokenizer->id_of("<think>")));
  EXPECT_FALSE(tokenizer->is_special(9999));
  EXPECT_EQ(tokenizer->bytes_of(*tokenizer->id_of("\xc4\xa0")), " ") << "the letter for a blank";
}

TEST(ByteBpe, EncodeToAppends) {
  const auto tokenizer = small("small_qwen");
  std::vector<TokenId> ids = {7};
  tokenizer->encode_to("Hi", ids);
  auto expected = tokenizer->encode("Hi");
  expected.insert(expected.begin(), 7);
  EXPECT_EQ(ids, expected);
}

/// Every byte string comes back, as bytes; as text where it is UTF-8. With NFC: the NFC of the text.
TEST(ByteBpe, RoundTripsOfRandomBytes) {
  const auto gpt2 = small("small_gpt2"), qwen = small("small_qwen");
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    const bool valid = i % 2;
    std::string sample = random_text(random, valid);
    if (i % 5 == 0)
      for (auto& c : sample) c = static_cast<char>(random());
    std::string plain, composed, expected;
    for (const TokenId id : gpt2->encode(sample)) plain += gpt2->bytes_of(id);
    EXPECT_EQ(plain, sample);
    for (const TokenId id : qwen->encode(sample)) composed += qwen->bytes_of(id);
    append_nfc(sample, expected);
    if (sample.find("<|") == std::string::npos && sample.find("<think>") == std::string::npos) {
      EXPECT_EQ(composed, expected);
    }
    if (valid && i % 5) {
      EXPECT_EQ(gpt2->decode(gpt2->encode(sample)), sample);
    }
  }
}

TEST(ByteBpe, StreamingEqualsDecodingForAnyIds) {
  const auto tokenizer = small("small_qwen");
  std::mt19937_64 random(2);
  for (int i = 0; i < 5000; ++i) {
    std::vector<TokenId> ids;
    for (std::uint64_t n = random() % 24; n > 0; --n) ids.push_back(static_cast<TokenId>(random() % (random() % 2 ? 256 : 670)));
    for (const bool skip : {false, true}) EXPECT_EQ(streamed(*tokenizer, ids, skip), tokenizer->decode(ids, skip));
  }
}

TEST(ByteBpe, StreamingHoldsBackOnlyWhatMayBecomeACharacter) {
  const auto tokenizer = small("small_gpt2");
  const auto byte = [&](int b) { return *tokenizer->id_of(spell_bytes(std::string(1, static_cast<char>(b)))); };
  StreamingDecoder decoder(*tokenizer);
  EXPECT_EQ(decoder.push(byte('a')), "a");
  EXPECT_EQ(decoder.push(byte(0xe2)), "");
  EXPECT_EQ(decoder.push(byte(0x82)), "");
  EXPECT_EQ(decoder.push(byte(0xac)), "\xe2\x82\xac");
  EXPECT_EQ(decoder.push(byte(0xff)), "\xef\xbf\xbd") << "never the beginning of a character";
  EXPECT_EQ(decoder.push(byte(0xf0)), "");
  EXPECT_EQ(decoder.push(byte(0x9f)), "");
  EXPECT_EQ(decoder.push(byte('b')),
            "\xef\xbf\xbd"
            "b")
      << "one sign for the broken part";
  EXPECT_EQ(decoder.push(byte(0xc3)), "");
  EXPECT_EQ(decoder.finish(), "\xef\xbf\xbd");
  EXPECT_EQ(decoder.push(byte('c')), "c") << "a new text";
}

TEST(ByteBpe, ThreadsAgree) {
  const auto tokenizer = small("small_qwen"), other = small("small_gpt2");
  std::vector<std::string> samples;
  std::mt19937_64 random(3);
  for (int i = 0; i < 2000; ++i) samples.push_back(random_text(random, false));
  const auto all = [&](const Tokenizer& one, const Tokenizer& two) {
    std::vector<TokenId> ids;
    for (const auto& sample : samples) one.encode_to(sample, ids), two.encode_to(sample, ids);
    return ids;
  };
  const auto expected = all(*tokenizer, *other);
  std::vector<std::vector<TokenId>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) threads.emplace_back([&] { result = all(*tokenizer, *other); });
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, expected);
}

/// A thread keeps caches for two tokenizers; a third, and one loaded at the place of one that is gone, must not see another's words.
TEST(ByteBpe, CachesAreNotMixedUp) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 6; ++i) {
    const auto qwen = small("small_qwen"), gpt2 = small("small_gpt2"), files = small("small_qwen_files");
    const std::string sample = random_text(random, true) + " 12345 Don'T";
    EXPECT_EQ(qwen->encode(sample), files->encode(sample));
    EXPECT_NE(qwen->encode(sample), gpt2->encode(sample));
    EXPECT_EQ(gpt2->encode(sample), small("small_gpt2")->encode(sample));
  }
}

/// Merging by the definition: the lowest rank first, the leftmost of equals.
std::vector<TokenId> merged_slowly(const Tokenizer& tokenizer, const std::map<std::pair<std::string, std::string>, int>& ranks,
                                   const std::string& word) {
  std::vector<std::string> symbols;
  for (const char c : word) symbols.push_back(spell_bytes(std::string(1, c)));
  while (true) {
    int best = 1 << 30;
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
      if (const auto found = ranks.find({symbols[i], symbols[i + 1]}); found != ranks.end() && found->second < best)
        best = found->second, at = i;
    if (best == 1 << 30) break;
    symbols[at] += symbols[at + 1];
    symbols.erase(symbols.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
  std::vector<TokenId> ids;
  for (const auto& symbol : symbols) ids.push_back(*tokenizer.id_of(symbol));
  return ids;
}

TEST(ByteBpe, WordsOfEveryLengthMergeByTheDefinition) {
  const auto tokenizer = small("small_gpt2");
  std::map<std::pair<std::string, std::string>, int> ranks;
  std::ifstream merges(data_file("tokenizer/small_qwen_files/merges.txt"));
  std::string left, right;
  for (merges >> left >> right; merges >> left >> right;) ranks.emplace(std::pair(left, right), static_cast<int>(ranks.size()));
  ASSERT_EQ(ranks.size(), 400u);
  std::mt19937_64 random(6);
  for (int i = 0; i < 1500; ++i) {
    std::string word;
    const std::size_t length = 1 + random() % (i % 3 ? 60 : 300);
    const std::uint64_t letters = 1 + random() % 8;
    while (word.size() < length) word.push_back("etaoinsh"[random() % letters]);
    EXPECT_EQ(tokenizer->encode(word), merged_slowly(*tokenizer, ranks, word)) << word;
  }
}

TEST(ByteBpe, AMegabyteWithoutABlankIsNotSlow) {
  const auto tokenizer = small("small_qwen");
  std::mt19937_64 random(8);
  const std::size_t size = 1 << 20;
  std::vector<std::string> texts = {std::string(size, 'e'),  std::string(size, ' '),    std::string(size, '!'),
                                    std::string(size, '\n'), std::string(size, '\xff'), std::string()};
  while (texts.back().size() < size) texts.back().push_back(static_cast<char>('a' + random() % 26));
  std::string marks = "e";
  while (marks.size() < size) marks += random() % 2 ? "\xcc\x81" : "\xcc\xa3";
  std::string newlines;
  while (newlines.size() < size) newlines += "\n ";
  texts.push_back(marks), texts.push_back(newlines);
  for (const auto& sample : texts) {
    const auto start = std::chrono::steady_clock::now();
    const auto ids = tokenizer->encode(sample);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    EXPECT_LT(seconds.count(), 20.0) << "a quadratic method takes hours";
    std::string bytes, expected;
    for (const TokenId id : ids) bytes += tokenizer->bytes_of(id);
    append_nfc(sample, expected);
    EXPECT_TRUE(bytes == expected);
  }
}

}  // namespace
}  // namespace strata::test
