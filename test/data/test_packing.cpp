// Packing: the placements of each mode, from lengths alone.
#include "strata/data/packing.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

#include "data/fake_tokenizer.hpp"
#include "strata/base/error.hpp"
#include "strata/tensor/random.hpp"

namespace strata {
namespace {
using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Source tokens are numbered 0, 1, 2, ...; the file holds these numbers, -1 where nothing was placed.
struct Placed : PackSink {
  std::vector<std::int64_t> file, entries, used;
  void piece(std::int64_t source, std::int64_t count, std::int64_t destination) override {
    if (static_cast<std::int64_t>(file.size()) < destination + count) file.resize(static_cast<std::size_t>(destination + count), -1);
    for (std::int64_t i = 0; i < count; ++i) {
      EXPECT_EQ(file[static_cast<std::size_t>(destination + i)], -1) << "placed twice";
      file[static_cast<std::size_t>(destination + i)] = source + i;
    }
  }
  void entry(std::int64_t destination) override { entries.push_back(destination); }
  void sequence(std::int64_t number, std::int64_t count) override {
    EXPECT_EQ(number, static_cast<std::int64_t>(used.size()));
    used.push_back(count);
  }
};

Placed pack(PackMode mode, std::int64_t sequence, bool wrap, const std::vector<std::int64_t>& lengths) {
  struct Null : PackSink {
    void piece(std::int64_t, std::int64_t, std::int64_t) override {}
    void entry(std::int64_t) override {}
    void sequence(std::int64_t, std::int64_t) override {}
  } null;
  Packing first(mode, sequence, wrap);
  for (const std::int64_t length : lengths) first.add(0, length, null);
  first.finish(null);
  Placed placed;
  Packing second(mode, sequence, wrap, mode == PackMode::concat ? first.tokens() : INT64_MAX);
  std::int64_t source = 0;
  for (const std::int64_t length : lengths) second.add(source, length, placed), source += length;
  second.finish(placed);
  placed.file.resize(static_cast<std::size_t>(first.tokens()), -1);
  EXPECT_EQ(second.tokens(), first.tokens());
  return placed;
}

TEST(Packing, StreamPutsDocumentsEndToEnd) {
  const Placed placed = pack(PackMode::stream, 0, true, {3, 0, 2});

  EXPECT_THAT(placed.file, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(placed.entries, ElementsAre(0, 3, 3));
}

TEST(Packing, ConcatDropsTheTail) {
  const Placed placed = pack(PackMode::concat, 4, true, {3, 2, 0, 4, 0, 1});

  EXPECT_THAT(placed.file, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(placed.entries, ElementsAre(0, 3, 5, 5));
}

TEST(Packing, ConcatWithoutWrapDropsTheRestOfACutDocument) {
  const Placed placed = pack(PackMode::concat, 4, false, {3, 9, 4, 2, 1});

  EXPECT_THAT(placed.file, ElementsAre(0, 1, 2, 3, 12, 13, 14, 15));
  EXPECT_THAT(placed.entries, ElementsAre(0, 3, 4));
}

TEST(Packing, DocumentsGoToTheFirstSequenceWithRoom) {
  const Placed placed = pack(PackMode::documents, 4, true, {3, 2, 0, 1, 2, 1});

  EXPECT_THAT(placed.file, ElementsAre(0, 1, 2, 5, 3, 4, 6, 7, 8, -1, -1, -1));
  EXPECT_THAT(placed.entries, ElementsAre(0, 3, 4, 6, 8));
  EXPECT_THAT(placed.used, ElementsAre(4, 4, 1));
}

TEST(Packing, DocumentsLongerThanASequenceAreCutIntoPieces) {
  const Placed placed = pack(PackMode::documents, 4, true, {2, 9, 3});

  EXPECT_THAT(placed.file, ElementsAre(0, 1, 10, -1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, -1));
  EXPECT_THAT(placed.used, ElementsAre(3, 4, 4, 3));
}

TEST(Packing, DocumentsModeKeepsEveryTokenAndCutsNoShortDocument) {
  constexpr std::int64_t sequence = 128;
  std::vector<std::int64_t> lengths, document_of;
  for (std::uint64_t i = 0; i < 3000; ++i) {
    const double u = random_uniform(1, RandomPurpose::test, i, 0);
    lengths.push_back(static_cast<std::int64_t>(u * u * u * 400));
    document_of.insert(document_of.end(), static_cast<std::size_t>(lengths.back()), static_cast<std::int64_t>(i));
  }

  const Placed placed = pack(PackMode::documents, sequence, true, lengths);

  std::vector<bool> seen(document_of.size(), false);
  std::map<std::int64_t, std::int64_t> last_sequence;  // of each document
  for (std::size_t at = 0; at < placed.file.size(); ++at) {
    if (placed.file[at] < 0) continue;
    const auto token = static_cast<std::size_t>(placed.file[at]);
    EXPECT_FALSE(seen[token]);
    seen[token] = true;
    const auto document = document_of[token];
    const auto [where, fresh] = last_sequence.emplace(document, static_cast<std::int64_t>(at) / sequence);
    const bool is_short = lengths[static_cast<std::size_t>(document)] <= sequence;
    EXPECT_TRUE(fresh || !is_short || where->second == static_cast<std::int64_t>(at) / sequence) << "document " << document;
  }
  EXPECT_EQ(std::count(seen.begin(), seen.end(), false), 0);
  EXPECT_TRUE(std::is_sorted(placed.entries.begin(), placed.entries.end()));
  EXPECT_EQ(std::accumulate(placed.used.begin(), placed.used.end(), std::int64_t{0}), static_cast<std::int64_t>(document_of.size()));
  const double fill = static_cast<double>(document_of.size()) / static_cast<double>(placed.file.size());
  EXPECT_GT(fill, 0.97) << "first fit among 64 sequences wastes little";
}

TEST(Packing, PlacesNothingForDocumentsOfOthers) {
  Placed placed;
  Packing packing(PackMode::documents, 4, true);
  packing.add(-1, 6, placed), packing.add(0, 2, placed), packing.finish(placed);

  EXPECT_THAT(placed.entries, ElementsAre(0, 4, 6));
  EXPECT_THAT(placed.file, ElementsAre(-1, -1, -1, -1, -1, -1, 0, 1));
}

TEST(Packing, RefusesUnknownModesAndTinySequences) {
  EXPECT_THAT(test::message_of([] { pack_mode("best"); }), HasSubstr("prepare.pack = best: expected stream, concat or documents"));
  EXPECT_THROW(Packing(PackMode::concat, 1, true), DeckError);
}

}  // namespace
}  // namespace strata
