// The echo: usable as a deck, with the same settings, for every key and awkward values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "deck/deck_fixture.hpp"
#include "deck/schema.hpp"
#include "strata/base/fault.hpp"

namespace {
using namespace strata;
using namespace strata::deck;
using ::testing::HasSubstr;

/// Spellings of values that some key takes and that are not its default.
const std::vector<std::string>& candidates() {
  static const std::vector<std::string> list = {R"("between:#, \"%\" \t\\")",
                                                R"("{step}# \"a\", b\n")",
                                                R"(" # a, \"b\"\n\t\\ \${HOME} ")",
                                                R"("a # b, c", "\"", "\n", plain)",
                                                "0:8, 5:4, 10:2",
                                                "0.12345678901234567, 0.3",
                                                "0.12345678901234567",
                                                "17",
                                                "4097",
                                                "4096",
                                                "0.25",
                                                "17m",
                                                "true",
                                                "false",
                                                "kill:at=leaf"};
  return list;
}

Items items_of(const std::string& value) {
  Items items;
  EXPECT_EQ(split_value(value, {}, test::small_environment, items), "") << value;
  return items;
}

/// Sets the key to something else than it is; false where it has only one value.
bool change(const Key& key, Settings& settings) {
  const std::string before = key.get(settings);
  std::vector<std::string> values = key.form.choices.empty() ? candidates() : key.form.choices;
  for (const auto& value : values) {
    if (key.set(settings, items_of(value)).empty() && key.get(settings) != before) return true;
  }
  return false;
}

TEST(Echo, DefaultsComeBack) {
  const Deck deck = Deck::parse({});
  const Deck again = Deck::parse({{"echo", deck.echo()}});
  for (const auto& section : schema()) {
    for (const auto& key : section.keys) {
      EXPECT_EQ(again.value(key.full_name()), deck.value(key.full_name()));
      EXPECT_TRUE(again.given(key.full_name())) << key.full_name();
    }
  }
}

TEST(Echo, EveryKeyComesBackWithAnotherValue) {
  std::vector<std::string> overrides, unchangeable;
  std::map<std::string, std::string> expected;
  for (const auto& section : schema()) {
    for (const auto& key : section.keys) {
      Settings settings;
      if (key.full_name() == "run.fault" && !fault_injection) continue;
      if (!change(key, settings)) {
        unchangeable.push_back(key.full_name());
        continue;
      }
      expected[key.full_name()] = key.get(settings);
      overrides.push_back("--" + key.full_name() + "=" + key.get(settings));
    }
  }
  EXPECT_THAT(unchangeable, ::testing::ElementsAre("optimizer.kind", "parallel.gradient_type"));

  const Deck deck = Deck::parse({}, overrides, test::small_environment);
  const Deck again = Deck::parse({{"echo", deck.echo()}}, {}, test::small_environment);

  for (const auto& [key, value] : expected) {
    EXPECT_EQ(deck.value(key), value);
    EXPECT_EQ(again.value(key), value);
  }
  EXPECT_EQ(again.settings().generate.prompts, deck.settings().generate.prompts);
  EXPECT_EQ(again.settings().generate.prompts, "between:#, \"%\" \t\\");
  EXPECT_EQ(again.settings().prepare.split, 0.12345678901234567);
  EXPECT_EQ(again.settings().optimizer.beta1, 0.12345678901234567);
  EXPECT_EQ(again.settings().batch.accumulation, deck.settings().batch.accumulation);
  EXPECT_THAT(again.settings().generate.stop, ::testing::SizeIs(1));
}

TEST(Echo, ListsOfAwkwardTextsComeBack) {
  const Deck deck =
      Deck::parse({{"x.in", "[generate]\nstop = \"a # b, c\", \"\\\"\", \"\\n\", plain\n[prepare]\ninput = \"${NAME} \", b\n"}}, {},
                  test::small_environment);
  const Deck again = Deck::parse({{"echo", deck.echo()}}, {}, test::small_environment);
  EXPECT_THAT(again.settings().generate.stop, ::testing::ElementsAre("a # b, c", "\"", "\n", "plain"));
  EXPECT_THAT(again.settings().prepare.input, ::testing::ElementsAre("value ", "b"));
}

TEST(Echo, TheRecordIsTheSameForEveryLaunch) {
  const char* const deck = "[run]\nseed = 7\n[optimizer]\nlr = 1e-3\n";
  const Deck here =
      Deck::parse({{"here.in", deck}}, {"--run.folder=a", "--run.progress=off", "--device.threads=2", "--parallel.timeout=1h"});
  const Deck there = Deck::parse({{"there.in", deck}}, {"--run.folder=b", "--run.resume=never"});

  EXPECT_EQ(here.record(), there.record());
  EXPECT_NE(here.record(), Deck::parse({{"here.in", deck}}, {"--run.seed=8"}).record());
  const Deck again = Deck::parse({{"record", here.record()}});
  EXPECT_TRUE(differences(here, again).empty());
  EXPECT_EQ(again.settings().optimizer.lr, 1e-3);
  EXPECT_EQ(again.where("run.folder"), "default");
}

TEST(Echo, SaysWhereEachValueCameFrom) {
  const std::string echo = Deck::parse({{"input/x.in", "[run]\nseed = 1\n"}}, {"--run.folder=f"}).echo();
  const std::string gap(34, ' ');
  EXPECT_THAT(echo, HasSubstr("\n[run]\nfolder     = f" + gap + "# (command line)\nseed       = 1" + gap + "# input/x.in:2\n"));
  EXPECT_THAT(echo, HasSubstr("\nresume     = auto" + gap.substr(3) + "# (default)\n"));
}

TEST(Echo, ADeckNameCannotBreakTheDeck) {
  const Deck deck = Deck::parse({{"a\nb = 1", "[run]\nseed = 1\n"}});
  EXPECT_EQ(Deck::parse({{"echo", deck.echo()}}).settings().run.seed, 1u);
}

}  // namespace
