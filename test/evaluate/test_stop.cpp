// Stop texts over pieces: by hand, and every way to cut many small texts against a search in the whole text.
#include "strata/evaluate/stop.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "strata/base/error.hpp"

namespace strata {
namespace {

TEST(StopText, PassesEverythingWithoutStops) {
  StopText stop({});

  EXPECT_EQ(stop.feed("any "), "any ");
  EXPECT_EQ(stop.feed("text"), "text");
  EXPECT_EQ(stop.finish(), "");
  EXPECT_FALSE(stop.found());
}

TEST(StopText, HoldsBackWhatMayBeAStop) {
  StopText stop({"\n\nUser:"});

  EXPECT_EQ(stop.feed("Hello.\n"), "Hello.");
  EXPECT_EQ(stop.feed("\nUs"), "");
  EXPECT_EQ(stop.feed("ual"), "\n\nUsual");
  EXPECT_EQ(stop.feed("\n"), "");
  EXPECT_EQ(stop.finish(), "\n");
  EXPECT_FALSE(stop.found());
}

TEST(StopText, FindsAStopSplitOverPieces) {
  StopText stop({"</answer>"});

  EXPECT_EQ(stop.feed("42</an"), "42");
  EXPECT_EQ(stop.feed("sw"), "");
  EXPECT_FALSE(stop.found());
  EXPECT_EQ(stop.feed("er> and more"), "");
  EXPECT_TRUE(stop.found());
  EXPECT_EQ(stop.match(), "</answer>");
  EXPECT_EQ(stop.feed("later"), "");
  EXPECT_EQ(stop.finish(), "");
}

TEST(StopText, EarliestPlaceWins) {
  StopText both({"world", "lo"});
  EXPECT_EQ(both.feed("hello world"), "hel");
  EXPECT_EQ(both.match(), "lo");

  // "b" is complete when "ab" has come, but "abc" would begin earlier: wait for the next byte.
  StopText nested({"b", "abc"});
  EXPECT_EQ(nested.feed("xab"), "x");
  EXPECT_FALSE(nested.found());
  EXPECT_EQ(nested.feed("c"), "");
  EXPECT_EQ(nested.match(), "abc");

  StopText other({"b", "abc"});
  EXPECT_EQ(other.feed("xab"), "x");
  EXPECT_EQ(other.feed("d"), "a");
  EXPECT_EQ(other.match(), "b");

  StopText ended({"b", "abc"});
  EXPECT_EQ(ended.feed("xab"), "x");
  EXPECT_EQ(ended.finish(), "a");
  EXPECT_TRUE(ended.found());
  EXPECT_EQ(ended.match(), "b");
}

TEST(StopText, OverlapsItself) {
  StopText stop({"aab"});
  EXPECT_EQ(stop.feed("aa"), "");
  EXPECT_EQ(stop.feed("a"), "a");
  EXPECT_EQ(stop.feed("b"), "");
  EXPECT_TRUE(stop.found());
}

TEST(StopText, FindsPartsOfCharactersToo) {
  StopText stop({"\u3002"});  // three bytes
  EXPECT_EQ(stop.feed("\u3001x\xe3\x80"), "\u3001x");
  EXPECT_EQ(stop.feed("\x82"), "");
  EXPECT_TRUE(stop.found());
}

/// All 3^7 texts of "abc" in all 2^6 ways to cut them, against std::string::find.
TEST(StopText, GivesTheSameForEveryCut) {
  const std::vector<std::vector<std::string>> sets{{"ab"}, {"aab", "ba"}, {"b", "abc"}, {"abcabc", "cab"}, {"aaa", "aab", "c"}};
  const int length = 7;
  for (const auto& stops : sets) {
    for (int number = 0; number < 2187; ++number) {
      std::string whole;
      for (int i = 0, rest = number; i < length; ++i, rest /= 3) whole += static_cast<char>('a' + rest % 3);
      std::size_t place = std::string::npos;
      for (const auto& stop : stops) place = std::min(place, whole.find(stop));
      const std::string expected = whole.substr(0, place);

      for (unsigned cuts = 0; cuts < 1u << (length - 1); ++cuts) {
        StopText stop(stops);
        std::string got, piece;
        for (std::size_t i = 0; i < whole.size(); ++i) {
          piece += whole[i];
          if (!(cuts >> i & 1u)) continue;
          got += stop.feed(piece);
          piece.clear();
        }
        got += stop.feed(piece);
        got += stop.finish();
        ASSERT_EQ(got, expected) << whole << " cut " << cuts;
        ASSERT_EQ(stop.found(), place != std::string::npos) << whole << " cut " << cuts;
      }
    }
  }
}

TEST(StopText, RefusesAnEmptyStop) {
  try {
    StopText stop({"x", ""});
    ADD_FAILURE() << "accepted";
  } catch (const DeckError& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("generate.stop: a stop text is empty"));
  }
}

}  // namespace
}  // namespace strata
