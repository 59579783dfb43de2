// UTF-8 repair, normalisation and the split patterns, by hand-made examples.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/golden.hpp"
#include "strata/tokenizer/nfc.hpp"
#include "tokenizer/pre_tokenizer.hpp"
#include "tokenizer/token_finder.hpp"
#include "tokenizer/utf8.hpp"

namespace strata::test {
namespace {

std::string lossy(const std::string& bytes) {
  std::string out;
  EXPECT_EQ(utf8::append_lossy(bytes, true, out), bytes.size());
  return out;
}

TEST(Utf8, RepairFollowsTheMaximalPartRule) {  // table 3-11 of the Unicode standard, and its neighbours
  const std::string r = "\xef\xbf\xbd";
  EXPECT_EQ(lossy("a\xf1\x80\x80\xe1\x80\xc2"
                  "b\x80"
                  "c\x80\xbf"
                  "d"),
            "a" + r + r + r + "b" + r + "c" + r + r + "d");
  EXPECT_EQ(lossy("\xed\xa0\x80"), r + r + r) << "a surrogate";
  EXPECT_EQ(lossy("\xc0\xaf"), r + r) << "overlong";
  EXPECT_EQ(lossy("\xe0\x80\xaf"), r + r + r);
  EXPECT_EQ(lossy("\xf4\x90\x80\x80"), r + r + r + r) << "over 10FFFF";
  EXPECT_EQ(lossy("\xf4\x8f\xbf\xbf"), "\xf4\x8f\xbf\xbf");
  std::string out;
  EXPECT_EQ(utf8::append_lossy("a\xe2\x82", false, out), 1u) << "the rest may still become a character";
  EXPECT_EQ(out, "a");
}

TEST(Utf8, EveryCodePointThereAndBack) {
  for (std::uint32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xd800 && c < 0xe000) continue;
    std::string bytes;
    utf8::append(c, bytes);
    ASSERT_EQ(bytes, utf8_of(c));
    const auto back = utf8::decode(bytes.data(), bytes.data() + bytes.size());
    ASSERT_EQ(back.code, c);
    ASSERT_EQ(back.bytes, bytes.size());
  }
}

std::string nfc(const std::string& sample) {
  std::string out;
  append_nfc(sample, out);
  return out;
}

TEST(Nfc, Examples) {
  EXPECT_EQ(nfc("e\xcc\x81"), "\xc3\xa9");
  EXPECT_EQ(nfc("\xe2\x84\xab"), "\xc3\x85") << "Angstrom sign: one code point for another";
  EXPECT_EQ(nfc("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8"), "\xea\xb0\x81") << "Hangul";
  EXPECT_EQ(nfc("\xea\xb0\x80\xe1\x86\xa8"), "\xea\xb0\x81");
  EXPECT_EQ(nfc("q\xcc\x87\xcc\xa3"), "q\xcc\xa3\xcc\x87") << "ordered by class";
  EXPECT_EQ(nfc("d\xcc\x87\xcc\xa3"), "\xe1\xb8\x8d\xcc\x87") << "composed across a mark of another class";
  EXPECT_EQ(nfc("\xe0\xa5\x98"), "\xe0\xa4\x95\xe0\xa4\xbc") << "excluded from composition";
  EXPECT_EQ(nfc("a\xff\xcc\x81"
                "e\xcc\x81"),
            "a\xff\xcc\x81\xc3\xa9")
      << "nothing moves across a byte that is not UTF-8";
  EXPECT_EQ(nfc("\xc3\xcd\x80"), "\xc3\xcc\x80") << "a cut-off character before one that changes";
  EXPECT_EQ(nfc(""), "");
}

TEST(Nfc, QuickCheckAgreesAndNfcIsStable) {
  std::mt19937_64 random(21);
  int sure = 0;
  for (int i = 0; i < 20000; ++i) {
    const std::string sample = random_text(random, i % 2), once = nfc(sample);
    EXPECT_EQ(nfc(once), once);
    if (!is_surely_nfc(sample)) continue;
    ++sure;
    EXPECT_EQ(once, sample);
  }
  EXPECT_GT(sure, 1000);
  EXPECT_TRUE(is_surely_nfc("plain ASCII of more than eight bytes, \xc3\xa9, \xe4\xbd\xa0"));
}

std::vector<std::string> words(SplitRule rule, const std::string& sample) {
  std::vector<std::string> out;
  for (const char *at = sample.data(), *end = at + sample.size(); at < end;) {
    const char* stop = end_of_word(rule, at, end);
    out.emplace_back(at, stop);
    if (stop <= at) return {"no progress"};
    at = stop;
  }
  return out;
}
using Words = std::vector<std::string>;

TEST(Split, Qwen2) {
  const auto split = [](const std::string& s) { return words(SplitRule::qwen2, s); };
  EXPECT_EQ(split("I'm DON'T we'LL"), (Words{"I", "'m", " DON", "'T", " we", "'LL"}));
  EXPECT_EQ(split("it'\xc5\xbf"), (Words{"it", "'\xc5\xbf"})) << "the long s is an s";
  EXPECT_EQ(split("'x"), (Words{"'x"})) << "one character may lead a word";
  EXPECT_EQ(split("year 1987!"), (Words{"year", " ", "1", "9", "8", "7", "!"}));
  EXPECT_EQ(split("a  b"), (Words{"a", " ", " b"}));
  EXPECT_EQ(split("a  "), (Words{"a", "  "}));
  EXPECT_EQ(split("a \n \n b"), (Words{"a", " \n \n", " b"}));
  EXPECT_EQ(split("x!!\n\ny"), (Words{"x", "!!\n\n", "y"}));
  EXPECT_EQ(split("\n\n\nx"), (Words{"\n\n\n", "x"}));
  EXPECT_EQ(split("\tx"), (Words{"\tx"}));
  EXPECT_EQ(split("a\xff"
                  "b\xfe\xfd!"),
            (Words{"a",
                   "\xff"
                   "b",
                   "\xfe\xfd!"}))
      << "bytes that are not UTF-8";
}

TEST(Split, Gpt2) {
  const auto split = [](const std::string& s) { return words(SplitRule::gpt2, s); };
  EXPECT_EQ(split("I'm DON'T"), (Words{"I", "'m", " DON", "'", "T"}));
  EXPECT_EQ(split("year 1987!"), (Words{"year", " 1987", "!"}));
  EXPECT_EQ(split("a \n b"), (Words{"a", " \n", " b"}));
  EXPECT_EQ(split("x!!\n"), (Words{"x", "!!", "\n"}));
  EXPECT_EQ(split("\tx"), (Words{"\t", "x"}));
  EXPECT_EQ(split(" "), (Words{" "}));
}

TEST(Split, Llama3) {
  const auto split = [](const std::string& s) { return words(SplitRule::llama3, s); };
  EXPECT_EQ(split("in 1234567"), (Words{"in", " ", "123", "456", "7"}));
  EXPECT_EQ(split("a 12b"), (Words{"a", " ", "12", "b"}));
}

TEST(Split, WordsLieEndToEnd) {
  std::mt19937_64 random(22);
  for (int i = 0; i < 20000; ++i) {
    const std::string sample = random_text(random, i % 2);
    for (const auto rule : {SplitRule::gpt2, SplitRule::qwen2, SplitRule::llama3}) {
      std::string joined;
      for (const auto& word : words(rule, sample)) joined += word;
      EXPECT_EQ(joined, sample);
    }
  }
}

TEST(ByteAlphabet, EveryByteThereAndBack) {
  std::string all;
  for (int b = 0; b < 256; ++b) all.push_back(static_cast<char>(b));
  EXPECT_EQ(bytes_of_spelling(spell_bytes(all)), all);
  EXPECT_EQ(spell_bytes(" \n"), "\xc4\xa0\xc4\x8a");
  EXPECT_EQ(bytes_of_spelling("a b"), "a b") << "a blank is no letter of the alphabet, so the text stands for itself";
}

TEST(TokenFinder, LeftmostThenLongest) {
  TokenFinder finder;
  for (const char* content : {"ab", "abcd", "bc", "", "zz"}) finder.add(content, static_cast<TokenId>(std::string(content).size()));
  const auto found = finder.find("xabcabcd", 0);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->begin, 1u);
  EXPECT_EQ(found->end, 3u);
  EXPECT_EQ(finder.find("xabcabcd", 3)->end, 8u);
  EXPECT_FALSE(finder.find("xyz", 0));
  EXPECT_FALSE(finder.find("abcd", 4));
}

}  // namespace
}  // namespace strata::test
