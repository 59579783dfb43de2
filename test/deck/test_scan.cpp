// The scanner: comments, quotes, escapes, lists, names from the environment, and spelling a text so that it reads back.
#include <gtest/gtest.h>

#include "deck/deck_fixture.hpp"
#include "deck/scan.hpp"

namespace {
using namespace strata;
using namespace strata::deck;

std::vector<std::string> items_of(const std::string& value, ValueSyntax syntax = {}) {
  Items items;
  const auto complaint = split_value(value, syntax, test::small_environment, items);
  if (!complaint.empty()) return {"complaint: " + complaint};
  std::vector<std::string> texts;
  for (const auto& item : items) texts.push_back(item.text);
  return texts;
}

using List = std::vector<std::string>;

TEST(Scan, TrimsUnquotedItemsAndKeepsBlanksInside) {
  EXPECT_EQ(items_of("  a b \t, c  "), (List{"a b", "c"}));
  EXPECT_EQ(items_of(""), List{});
  EXPECT_EQ(items_of(" \t "), List{});
}

TEST(Scan, CommentsEndValuesOutsideQuotesOnly) {
  EXPECT_EQ(items_of(" a # b"), List{"a"});
  EXPECT_EQ(items_of(" a# b"), List{"a"});
  EXPECT_EQ(items_of("# nothing"), List{});
  EXPECT_EQ(items_of("\"a # b\" # c"), List{"a # b"});
  EXPECT_EQ(items_of("a # b", {.comments = false, .commas = true}), List{"a # b"});
}

TEST(Scan, QuotesHoldCommasBlanksAndEscapes) {
  EXPECT_EQ(items_of(R"(" a, b ", c)"), (List{" a, b ", "c"}));
  EXPECT_EQ(items_of(R"("a\n\t\r\"\\\$")"), List{"a\n\t\r\"\\$"});
  EXPECT_EQ(items_of(R"("")"), List{""});
  EXPECT_EQ(items_of(R"(between:"# ")"), List{"between:# "});
  EXPECT_EQ(items_of(R"(C:\new\table)"), List{R"(C:\new\table)"});
}

TEST(Scan, CommasCanBePartOfAText) {
  EXPECT_EQ(items_of("a, b,", {.comments = false, .commas = false}), List{"a, b,"});
}

TEST(Scan, ComplaintsSayWhatIsWrong) {
  EXPECT_EQ(items_of("\"a"), List{"complaint: the closing double quote is missing"});
  EXPECT_EQ(items_of("\"a\\\""), List{"complaint: the closing double quote is missing"});
  EXPECT_EQ(items_of(R"("\x")"), List{R"(complaint: unknown escape \x in double quotes; expected \n \t \r \" \\ or \$)"});
  EXPECT_EQ(items_of("\"\\"), List{R"(complaint: unknown escape \ in double quotes; expected \n \t \r \" \\ or \$)"});
  EXPECT_EQ(items_of("\"a\" b"), List{"complaint: text after the closing double quote; expected a comma or the end of the value"});
  EXPECT_EQ(items_of("say \"a\"")[0].substr(0, 52), "complaint: a double quote in the middle of a value; ");
  for (const auto* list : {"a,,b", "a,", ",a", ",", "a, # b"}) {
    EXPECT_EQ(items_of(list), List{"complaint: an empty item in a list; remove the comma, or write \"\" for an empty text"}) << list;
  }
}

TEST(Scan, NamesComeFromTheEnvironment) {
  EXPECT_EQ(items_of("a/${NAME}/b"), List{"a/value/b"});
  EXPECT_EQ(items_of("\"${NAME}, b\""), List{"value, b"});
  EXPECT_EQ(items_of("a${EMPTY}"), List{"a"});
  EXPECT_EQ(items_of("$NAME"), List{"$NAME"});
  EXPECT_EQ(items_of(R"("\${NAME}")"), List{"${NAME}"});
  EXPECT_EQ(items_of("${OTHER}"), List{"complaint: the environment variable OTHER is not set"});
  EXPECT_EQ(items_of("${NAME"), List{"complaint: expected ${NAME} with the name of an environment variable, found ${NAME"});
  EXPECT_EQ(items_of("${}"), List{"complaint: expected ${NAME} with the name of an environment variable, found ${}"});
}

TEST(Scan, ProcessEnvironmentIsTheDefault) {
  ASSERT_EQ(setenv("STRATA_TEST_NAME", "seen", 1), 0);
  EXPECT_EQ(process_environment("STRATA_TEST_NAME"), "seen");
  EXPECT_EQ(Deck::parse({}, {"--run.folder=${STRATA_TEST_NAME}"}).settings().run.folder, "seen");
  EXPECT_EQ(process_environment("STRATA_TEST_NAME_THAT_IS_NOT_SET"), std::nullopt);
}

TEST(Scan, QuotedTextsReadBack) {
  EXPECT_EQ(quoted_if_needed("plain text"), "plain text");
  EXPECT_EQ(quoted_if_needed(""), "\"\"");
  const List texts = {"",        " ", "a ",   "#",   "a,b",   "\"",   "\\",     "a\\n",      "\n\t\r",
                      "${NAME}", "$", "$\"{", "[x]", "a = b", "\x01", "Zürich", "between:# "};
  for (const auto& text : texts) EXPECT_EQ(items_of(quoted_if_needed(text)), List{text}) << text;
}

TEST(Scan, EveryStringOfAwkwardCharactersReadsBack) {
  const std::string awkward = "a \"\\,#${}n\n\t\r";
  std::uint32_t state = 1;
  for (int trial = 0; trial < 20000; ++trial) {
    std::string text;
    for (int i = 0; i < 8; ++i) {
      state = state * 1664525u + 1013904223u;
      if (state >> 28 != 0) text += awkward[(state >> 16) % awkward.size()];
    }
    ASSERT_EQ(items_of(quoted_if_needed(text)), List{text});
  }
}

}  // namespace
