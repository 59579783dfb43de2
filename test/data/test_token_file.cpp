// Token file: what is written is read, and nothing damaged or impossible is taken.
#include "strata/data/token_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <thread>

#include "data/fake_tokenizer.hpp"
#include "data/token_fixture.hpp"
#include "strata/base/error.hpp"
#include "strata/tensor/random.hpp"

namespace strata {
namespace {
using test::make_token_file;
using test::message_of;
using test::write_token_file;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::vector<std::int32_t> read(const TokenFileReader& file, std::int64_t first, std::int64_t count) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(count));
  file.read(first, count, ids.data());
  return ids;
}

/// More than two pieces of u16.
std::vector<std::uint16_t> many_tokens() {
  std::vector<std::uint16_t> tokens(5'000'000);
  for (std::size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<std::uint16_t>((i * 2654435761u >> 7) % 100);
  return tokens;
}

class TokenFile : public ::testing::Test {
 protected:
  test::TemporaryFolder folder_;
  fs::path path_ = folder_ / "t.h5";
};

TEST_F(TokenFile, ReadsAnyStretchAcrossPieces) {
  const std::vector<std::uint16_t> tokens = many_tokens();
  write_token_file(path_, tokens, {0, 5, 5'000'000});
  const TokenFileReader file(path_);

  constexpr std::int64_t piece = (4 << 20) / 2;
  for (const auto& [first, count] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 5'000'000}, {piece - 3, 7}, {4'999'999, 1}, {piece, piece}, {17, 0}}) {
    const std::vector<std::int32_t> expected(tokens.begin() + first, tokens.begin() + first + count);
    EXPECT_EQ(read(file, first, count), expected) << first << " + " << count;
  }
  EXPECT_THAT(message_of([&] { read(file, 4'999'999, 2); }), HasSubstr("2 tokens from 4999999 are asked for; it has 5000000"));
  EXPECT_THAT(message_of([&] { read(file, std::numeric_limits<std::int64_t>::max(), 2); }), HasSubstr("it has 5000000"));
}

TEST_F(TokenFile, ThreadsMayRead) {
  const std::vector<std::uint16_t> tokens = many_tokens();
  write_token_file(path_, tokens, {0, 5'000'000});
  const TokenFileReader file(path_);
  std::vector<std::thread> threads;
  std::vector<int> wrong(4, 0);
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; i < 200; ++i) {
        const auto first = static_cast<std::int64_t>(random_uniform(t, RandomPurpose::test, i, 0) * 4'999'000);
        const std::vector<std::int32_t> ids = read(file, first, 1000);
        wrong[t] += !std::equal(ids.begin(), ids.end(), tokens.begin() + first);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ElementsAre(0, 0, 0, 0));
}

TEST_F(TokenFile, FindsDocumentsAnywhere) {
  std::vector<std::int64_t> documents{0};
  for (std::uint64_t i = 0; documents.back() < 20000; ++i)
    documents.push_back(documents.back() + static_cast<std::int64_t>(random_uniform(5, RandomPurpose::test, i, 0) * 4));
  write_token_file(path_, std::vector<std::uint16_t>(static_cast<std::size_t>(documents.back()), 1), documents);
  const TokenFileReader file(path_);

  for (std::int64_t first = -1; first < documents.back(); first += 97) {
    std::vector<std::int64_t> expected;
    for (const std::int64_t d : documents)
      if (d > first && d < first + 300 && (expected.empty() || expected.back() != d)) expected.push_back(d);
    ASSERT_EQ(file.starts_between(first, first + 300), expected) << first;
  }
}

TEST_F(TokenFile, StoresU32ForLargeVocabularies) {
  make_token_file(path_, {{70000, 3}, {65536}}, "stream", 0, 151936);
  EXPECT_THAT(read(TokenFileReader(path_), 0, 3), ElementsAre(70000, 3, 65536));
}

TEST_F(TokenFile, EqualContentHasEqualHashWhateverTheSourcesAreCalled) {
  make_token_file(path_, {{1, 2}, {3}});
  make_token_file(folder_ / "other.h5", {{1, 2}, {3}});
  make_token_file(folder_ / "borders.h5", {{1}, {2, 3}});
  make_token_file(folder_ / "vocabulary.h5", {{1, 2}, {3}}, "stream", 0, 1001);
  const std::string hash = TokenFileReader(path_).hash();

  EXPECT_EQ(TokenFileReader(folder_ / "other.h5").hash(), hash);
  EXPECT_NE(TokenFileReader(folder_ / "borders.h5").hash(), hash);
  EXPECT_NE(TokenFileReader(folder_ / "vocabulary.h5").hash(), hash);
}

TEST_F(TokenFile, NamesTokensBeyondTheVocabularyWithTheirPosition) {
  std::vector<std::uint16_t> tokens = many_tokens();
  tokens[3'000'001] = 100;
  write_token_file(path_, tokens, {0, 5'000'000});
  const TokenFileReader file(path_);

  EXPECT_EQ(read(file, 0, 10).size(), 10u) << "found when its piece is first read";
  EXPECT_THAT(message_of([&] { read(file, 4'000'000, 10); }),
              HasSubstr("/tokens[3000001] = 100 is no token: the file's vocabulary has 100 (ids from 0 to 99)"));
  EXPECT_THAT(verify_token_file(path_), ElementsAre(HasSubstr("/tokens[3000001]")));
}

TEST_F(TokenFile, RefusesImpossibleDocuments) {
  const std::vector<std::uint16_t> tokens(10, 1);
  const auto with = [&](const std::vector<std::int64_t>& documents) {
    fs::remove(path_);
    write_token_file(path_, tokens, documents);
    return message_of([&] { TokenFileReader file(path_); });
  };

  EXPECT_EQ(with({0, 4, 4, 10}), "");
  EXPECT_THAT(with({1, 10}), HasSubstr("/documents[0] = 1: the first document is expected to start at token 0"));
  EXPECT_THAT(with({0, -3, 10}), HasSubstr("/documents[1] = -3 lies before the document before it"));
  EXPECT_THAT(with({0, 7, 6, 10}), HasSubstr("/documents[2] = 6 lies before the document before it, which starts at 7"));
  EXPECT_THAT(with({0, 4, 11}), HasSubstr("/documents[2] = 11: the last entry is expected to be the number of tokens, 10"));
  EXPECT_THAT(with({0, 4, 9}), HasSubstr("/documents[2] = 9"));
}

TEST_F(TokenFile, RefusesImpossibleAttributes) {
  const auto with = [&](auto change) {
    TokenFileInfo info;
    change(info);
    fs::remove(path_);
    write_token_file(path_, std::vector<std::uint16_t>(10, 1), {0, 10}, info);
    return message_of([&] { TokenFileReader file(path_); });
  };

  EXPECT_THAT(with([](TokenFileInfo& i) { i.version = 2; }), HasSubstr("token file version 2: this Strata reads version 1"));
  EXPECT_THAT(with([](TokenFileInfo& i) { i.separator_id = 100; }), HasSubstr("separator_id = 100 is not below the vocabulary of 100"));
  EXPECT_THAT(with([](TokenFileInfo& i) { i.pack = "tight"; }), HasSubstr("pack = tight: expected stream, concat or documents"));
  EXPECT_THAT(with([](TokenFileInfo& i) { i.pack = "concat", i.sequence = 3; }), HasSubstr("a divisor of the 10 tokens"));
}

TEST_F(TokenFile, RefusesOtherFiles) {
  test::write_file(folder_ / "text", "hello");
  EXPECT_FALSE(is_token_file(folder_ / "text"));
  EXPECT_FALSE(is_token_file(folder_ / "none"));
  EXPECT_NE(message_of([&] { TokenFileReader file(folder_ / "none"); }), "");
  h5::create_file(path_, {{"/tokens", DType::u16, {4}}}, {{"/", "format", std::string("strata checkpoint")}});
  EXPECT_FALSE(is_token_file(path_));
  EXPECT_THAT(message_of([&] { TokenFileReader file(path_); }), HasSubstr("this is not a token file"));
}

TEST_F(TokenFile, FindsEveryFlippedBitOfContent) {
  make_token_file(path_, {{1, 2, 3}, {4}, {5, 6, 7, 8, 9}}, "documents", 6, 10);
  const std::string sound = test::read_file(path_);
  ASSERT_THAT(verify_token_file(path_), ElementsAre());
  std::vector<std::pair<std::int64_t, std::int64_t>> stretches;  // [bytes] where content lies
  {
    const h5::File file(path_);
    for (const std::string& name : file.datasets_below("/")) stretches.emplace_back(file.dataset(name).offset, file.dataset(name).bytes());
  }
  int flips = 0;
  for (const auto& [offset, bytes] : stretches)
    for (std::int64_t at = offset; at < offset + bytes; ++at) {
      std::string damaged = sound;
      damaged[static_cast<std::size_t>(at)] = static_cast<char>(damaged[static_cast<std::size_t>(at)] ^ (1 << (at % 8)));
      test::write_file(path_, damaged);
      EXPECT_FALSE(verify_token_file(path_).empty()) << "byte " << at;
      ++flips;
    }
  EXPECT_GT(flips, 250);
}

TEST_F(TokenFile, FindsChangedAttributes) {
  make_token_file(path_, {{1, 2, 3}});
  const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t attribute = H5Aopen(file, "vocabulary", H5P_DEFAULT);
  const std::int64_t larger = 2000;
  H5Awrite(attribute, H5T_NATIVE_INT64, &larger);
  H5Aclose(attribute), H5Fclose(file);

  EXPECT_THAT(message_of([&] { TokenFileReader reader(path_); }), HasSubstr("the attributes are damaged or were changed"));
}

TEST_F(TokenFile, NamesTheDamagedPiece) {
  write_token_file(path_, many_tokens(), {0, 5'000'000});
  const std::int64_t offset = h5::File(path_).dataset("/tokens").offset;
  std::string content = test::read_file(path_);
  content[static_cast<std::size_t>(offset + (4 << 20) + 1)] =
      static_cast<char>(content[static_cast<std::size_t>(offset + (4 << 20) + 1)] ^ 1);
  test::write_file(path_, content);
  const TokenFileReader file(path_);

  EXPECT_EQ(read(file, 0, 2097152).size(), 2097152u);
  EXPECT_THAT(message_of([&] { read(file, 2097152, 1); }),
              AllOf(HasSubstr("piece 1 of /tokens (tokens 2097152 to 4194303) is damaged"), HasSubstr("expected checksum")));
  EXPECT_THAT(file.verify(), ElementsAre(HasSubstr("piece 1 of /tokens")));
  EXPECT_TRUE(file.verify_some(2).empty()) << "the first and the last of three pieces are sound";
  EXPECT_EQ(file.verify_some(3).size(), 1u);
  EXPECT_EQ(file.verify_some(100).size(), 1u);
}

TEST_F(TokenFile, TellsATruncatedFile) {
  make_token_file(path_, {{1, 2, 3}});
  const std::string content = test::read_file(path_);
  for (const std::size_t left : {content.size() - 1, content.size() / 2, std::size_t{100}}) {
    test::write_file(path_, content.substr(0, left));
    EXPECT_FALSE(verify_token_file(path_).empty()) << left;
  }
}

TEST_F(TokenFile, DescribesItself) {
  make_token_file(path_, {{1, 2, 3}, {4}}, "documents", 4, 1000, "7");
  const TokenFileReader file(path_);
  const std::string people = describe_token_file(file), json = token_file_json(file);

  EXPECT_THAT(people, AllOf(HasSubstr("8 (2 separators, 2 padding), stored as u16"), HasSubstr("documents, 2 sequences of 4 tokens"),
                            HasSubstr("7 (id 7) after each document"), HasSubstr("t.h5.jsonl"), HasSubstr(file.hash())));
  EXPECT_THAT(json, AllOf(HasSubstr("\"tokens\": 8"), HasSubstr("\"padding_tokens\": 2"), HasSubstr("\"hash\": \"" + file.hash() + "\"")));
}

}  // namespace
}  // namespace strata
