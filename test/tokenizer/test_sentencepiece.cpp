// Training a vocabulary, exact round trips, and agreement with the sentencepiece library itself.
#include <gtest/gtest.h>
#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include "strata/base/error.hpp"
#include "strata/tokenizer/config.hpp"
#include "support/support.hpp"
#include "tokenizer/golden.hpp"

namespace strata::test {
namespace {

/// Sentences of made-up words, so that training has something to find.
std::vector<std::string> corpus(int sentences) {
  std::mt19937_64 random(7);
  static const char* const syllables[] = {"ka", "to", "mi", "ran", "se", "lo", "pe", "dun", "gra", "vi"};
  std::vector<std::string> words;
  for (int i = 0; i < 300; ++i) {
    std::string word;
    for (std::uint64_t n = 1 + random() % 4; n > 0; --n) word += syllables[random() % std::size(syllables)];
    words.push_back(word);
  }
  std::vector<std::string> result;
  for (int i = 0; i < sentences; ++i) {
    std::string line = random() % 4 ? "" : "    ";
    for (std::uint64_t n = 3 + random() % 12; n > 0; --n) line += words[random() % words.size()] + (n > 1 ? " " : ".\n");
    if (random() % 5 == 0) line += "In 1987, 42 \xc3\xa9t\xc3\xa9s\t(no)\r\n";
    result.push_back(line);
  }
  return result;
}

TokenizerConfig config_of(const std::string& kind, std::int64_t vocabulary) {
  TokenizerConfig config;
  config.train = true;
  config.kind = kind;
  config.vocabulary = vocabulary;
  return config;
}

std::unique_ptr<Tokenizer> load_model(const std::string& model) {
  TemporaryFolder folder;
  write_file(folder / "my.model", model);
  return load_tokenizer(folder.path());
}

template <class Function>
std::string message_of(Function function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

class Trained : public ::testing::TestWithParam<const char*> {};

TEST_P(Trained, HasTheVocabularyAskedFor) {
  const auto tokenizer = load_model(train_sentencepiece(config_of(GetParam(), 400), corpus(400)));

  EXPECT_EQ(tokenizer->vocabulary(), 400);
  EXPECT_EQ(tokenizer->token_of(0), "<unk>");
  EXPECT_EQ(tokenizer->token_of(1), "<s>");
  EXPECT_EQ(tokenizer->token_of(2), "</s>");
  EXPECT_EQ(tokenizer->bos(), 1u);
  EXPECT_EQ(tokenizer->eos(), 2u);
  EXPECT_TRUE(tokenizer->id_of("\n").has_value());
  EXPECT_LT(tokenizer->encode("kato mira").size(), 9u) << "words are found";
}

TEST_P(Trained, RoundTripsExactly) {
  const auto sentences = corpus(400);
  const auto tokenizer = load_model(train_sentencepiece(config_of(GetParam(), 400), sentences));
  std::vector<std::string> texts = {"",
                                    " ",
                                    "  ",
                                    "\n",
                                    "\n\n",
                                    " \n ",
                                    "a",
                                    " a",
                                    "a ",
                                    "  a  b  ",
                                    "\t",
                                    "\r\n",
                                    "x\ny\n",
                                    "123 4",
                                    "\xe4\xbd\xa0\xe5\xa5\xbd \xf0\x9f\x91\xa9",
                                    "e\xcc\x81 \xef\xac\x81 \xc2\xa0 \xe2\x80\xa8",
                                    "<s></s><unk>",
                                    "<0x41>",
                                    std::string("a\0b", 3)};
  texts.insert(texts.end(), sentences.begin(), sentences.begin() + 50);
  std::mt19937_64 random(11);
  while (texts.size() < 1000) texts.push_back(random_text(random, true));
  for (const auto& sample : texts) {
    if (sample.find("\xe2\x96\x81") != std::string::npos) continue;  // U+2581 is sentencepiece's own blank
    const auto ids = tokenizer->encode(sample);
    EXPECT_EQ(tokenizer->decode(ids), sample);
    EXPECT_EQ(streamed(*tokenizer, ids), sample);
  }
}

TEST_P(Trained, IsTheSameEveryTime) {
  const auto config = config_of(GetParam(), 350);
  EXPECT_EQ(train_sentencepiece(config, corpus(200)), train_sentencepiece(config, corpus(200)));
}

TEST_P(Trained, TooLargeAVocabularyNamesTheLargest) {
  const auto sentences = corpus(60);
  const std::string message = message_of([&] { train_sentencepiece(config_of(GetParam(), 50000), sentences); });
  const std::string words = "the largest possible value is ";
  const std::size_t at = message.find(words);
  ASSERT_NE(at, std::string::npos) << message;

  const std::int64_t largest = std::stoll(message.substr(at + words.size()));

  EXPECT_EQ(load_model(train_sentencepiece(config_of(GetParam(), largest), sentences))->vocabulary(), largest);
  EXPECT_THROW(train_sentencepiece(config_of(GetParam(), largest + 1), sentences), DataError);
}

TEST_P(Trained, TooSmallAVocabularyNamesTheSmallest) {
  std::string many;
  for (std::uint32_t c = 0x4e00; c < 0x4e00 + 200; ++c) many += utf8_of(c) + utf8_of(c + 1) + " ";
  const std::string message = message_of([&] { train_sentencepiece(config_of(GetParam(), 300), {many}); });
  EXPECT_NE(message.find("too small for the characters of this text: the smallest possible value is "), std::string::npos) << message;
}

TEST_P(Trained, OddTexts) {
  const auto config = config_of(GetParam(), 300);
  EXPECT_NE(message_of([&] { train_sentencepiece(config, {}); }).find("the input is empty"), std::string::npos);
  EXPECT_NE(message_of([&] { train_sentencepiece(config, {"\n", "", "\n\n"}); }).find("the input is empty"), std::string::npos);
  for (const char* poor : {"a", " ", "   \n  ", "\t\t", "aaaaaaaa"})
    EXPECT_NE(message_of([&] { train_sentencepiece(config, {poor}); }), "no error") << "text '" << poor << "'";
  std::string bytes;
  for (int i = 0; i < 5000; ++i) bytes.push_back(static_cast<char>(i * 7919 >> 3));
  message_of([&] { train_sentencepiece(config, {bytes}); });  // any answer but a crash
  std::string long_line;
  std::mt19937_64 random(3);
  for (int i = 0; i < 200000; ++i) long_line.push_back(static_cast<char>('a' + random() % 20));
  message_of([&] { train_sentencepiece(config_of(GetParam(), 320), {long_line}); });
}

INSTANTIATE_TEST_SUITE_P(Kinds, Trained, ::testing::Values("unigram", "bpe"));

TEST(SentencePiece, LongLinesAreUsedToo) {
  std::string line;
  for (const auto& sentence : corpus(600)) line += sentence.substr(0, sentence.find('\n')) + " ";
  ASSERT_GT(line.size(), 20000u);
  const auto tokenizer = load_model(train_sentencepiece(config_of("bpe", 500), {line}));
  EXPECT_EQ(tokenizer->vocabulary(), 500);
}

/// Models of BPE are encoded word by word; the library, given the whole text, must say the same.
TEST(SentencePiece, WordByWordEqualsTheLibrary) {
  std::vector<std::string> models = {train_sentencepiece(config_of("bpe", 420), corpus(400)),
                                     train_sentencepiece(config_of("unigram", 420), corpus(400))};
  if (const auto mistral = shared_dir() / "data" / "sentencepiece" / "mistral.tokenizer.model.v1"; !shared_dir().empty())
    models.push_back(read_file(mistral));
  for (const auto& model : models) {
    sentencepiece::SentencePieceProcessor library;
    ASSERT_TRUE(library.LoadFromSerializedProto(model).ok());
    const auto tokenizer = load_model(model);
    std::mt19937_64 random(5);
    for (int i = 0; i < 3000; ++i) {
      std::string sample = random_text(random, i % 2);
      if (i % 3 == 0) sample += "\xe2\x96\x81 kato \xe2\x96\x81mi  \xe2\x96\x81\xe2\x96\x81 x ";
      std::vector<int> ids;
      ASSERT_TRUE(library.Encode(sample, &ids).ok());
      EXPECT_EQ(tokenizer->encode(sample), std::vector<TokenId>(ids.begin(), ids.end())) << sample;
    }
  }
}

TEST(SentencePiece, StreamingEqualsDecodingForAnyIds) {
  const auto tokenizer = load_model(train_sentencepiece(config_of("unigram", 400), corpus(400)));
  std::mt19937_64 random(9);
  for (int i = 0; i < 3000; ++i) {
    std::vector<TokenId> ids;
    for (std::uint64_t n = random() % 20; n > 0; --n) ids.push_back(static_cast<TokenId>(random() % (random() % 2 ? 260 : 405)));
    for (const bool skip : {false, true}) EXPECT_EQ(streamed(*tokenizer, ids, skip), tokenizer->decode(ids, skip));
    std::string bytes;
    for (const TokenId id : ids) bytes += tokenizer->bytes_of(id);
    if (tokenizer->decode(ids).find("\xef\xbf\xbd") == std::string::npos) {
      EXPECT_EQ(tokenizer->decode(ids), bytes);
    }
  }
}

TEST(SentencePiece, DamagedModelsAreRefused) {
  TemporaryFolder folder;
  const std::string model = train_sentencepiece(config_of("unigram", 350), corpus(200));
  const auto refused = [&](const std::string& content) {
    write_file(folder / "x.model", content);
    return message_of([&] { load_tokenizer(folder / "x.model"); });
  };
  EXPECT_NE(refused("").find("x.model"), std::string::npos);
  EXPECT_NE(refused("not a model at all").find("x.model"), std::string::npos);
  EXPECT_NE(refused(model.substr(0, model.size() / 2)).find("x.model"), std::string::npos);
  std::mt19937_64 random(13);
  for (int i = 0; i < 300; ++i) {
    std::string damaged = model;
    for (int k = 0; k < 3; ++k) damaged[random() % damaged.size()] = static_cast<char>(random());
    refused(damaged);  // refused or loaded, never a crash
  }
}

// The library follows this table out of the file: a model that maps characters, and the same with one unit of the table or its length
// changed.
TEST(SentencePiece, ACharacterMapThatLeadsOutOfItselfIsRefused) {
  TemporaryFolder folder;
  write_file(folder / "rules", "41\t61\nE9\t65 301\n");
  std::string lines;
  for (const std::string& line : corpus(50)) lines += line + "\n";
  write_file(folder / "text", lines);
  const std::string options =
      "--input=" + (folder / "text").string() + " --model_prefix=" + (folder / "m").string() +
      " --vocab_size=100 --hard_vocab_limit=false --num_threads=1 --minloglevel=3 --normalization_rule_tsv=" + (folder / "rules").string();
  ASSERT_TRUE(sentencepiece::SentencePieceTrainer::Train(options).ok());
  const std::string sound = read_file(folder / "m.model");
  EXPECT_EQ(load_model(sound)->decode(load_model(sound)->encode("A")), "a");
  // The table begins with its length in bytes, a multiple of 1,024, behind the field's tag and length.
  const std::string_view tag("\x12", 1);
  std::size_t at = std::string::npos;
  for (std::size_t i = sound.find(tag); i != std::string::npos && at == std::string::npos; i = sound.find(tag, i + 1))
    for (std::size_t skip = 2; skip <= 4 && i + skip + 4 < sound.size(); ++skip)
      if (sound[i + skip] == 0 && sound[i + skip + 1] != 0 && sound[i + skip + 1] % 4 == 0 && sound[i + skip + 2] == 0 &&
          sound[i + skip + 3] == 0)
        at = i + skip;
  ASSERT_NE(at, std::string::npos);
  const auto refused = [&](std::size_t place, unsigned char value) {
    std::string changed = sound;
    changed[place] = static_cast<char>(value);
    return message_of([&] { load_model(changed)->encode("A longer text, \xc3\xa9, with characters to map"); });
  };
  EXPECT_NE(refused(at + 2, 0x7f).find("character map is damaged"), std::string::npos);
  EXPECT_NE(refused(at + 6, 0x7f).find("character map is damaged"), std::string::npos) << "the root's offset";
}

TEST(SentencePiece, SettingsAreChecked) {
  EXPECT_NE(message_of([] { train_sentencepiece(config_of("word", 400), corpus(9)); }).find("'unigram' or 'bpe', found 'word'"),
            std::string::npos);
  EXPECT_NE(message_of([] { train_sentencepiece(config_of("bpe", 100), corpus(9)); }).find("from 260"), std::string::npos);
}

}  // namespace
}  // namespace strata::test
