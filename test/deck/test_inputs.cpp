// Every deck in input/ parses, validates for the commands it is for, and its effective deck feeds back.
#include <gtest/gtest.h>

#include <set>

#include "deck/deck_fixture.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;

std::set<std::filesystem::path> decks() {
  std::set<std::filesystem::path> found;
  for (const auto& entry : std::filesystem::directory_iterator(test::source_dir() / "input")) {
    if (entry.path().extension() == ".in") found.insert(entry.path());
  }
  return found;
}

TEST(Inputs, AllAreThere) {
  std::set<std::string> names;
  for (const auto& path : decks()) names.insert(path.filename().string());
  for (const auto* name : {"quickstart.in", "qwen3-0.6b-wikitext.in", "qwen3-0.6b-wikitext-scratch.in", "llama.in"})
    EXPECT_EQ(names.count(name), 1u) << name;
}

TEST(Inputs, EveryDeckServesTheWholeChain) {
  for (const auto& path : decks()) {
    SCOPED_TRACE(path.string());
    const Deck deck = Deck::parse({read_deck_file(path)});
    EXPECT_TRUE(deck.warnings().empty());
    for (const auto* command : {"prepare", "train", "check", "evaluate", "generate"}) EXPECT_NO_THROW(validate(deck, command)) << command;
  }
}

TEST(Inputs, EveryEffectiveDeckFeedsBack) {
  for (const auto& path : decks()) {
    const Deck deck = Deck::parse({read_deck_file(path)});
    const Deck again = Deck::parse({{"effective.deck", deck.echo()}});
    EXPECT_TRUE(differences(deck, again).empty()) << path;
    EXPECT_NO_THROW(validate(again, "train")) << path;
  }
}

TEST(Inputs, EveryDeckOpensWithItsNameAndPurpose) {
  for (const auto& path : decks()) {
    const std::string text = test::read_file(path);
    EXPECT_EQ(text.rfind("# input/" + path.filename().string() + ": ", 0), 0u) << path;
    for (const auto* word : {"# Data:", "# Expected:", "# Run:"}) EXPECT_NE(text.find(word), std::string::npos) << path << " " << word;
  }
}

TEST(Inputs, ModelConfigsOfTheRepositoryExist) {
  for (const auto& path : decks()) {
    const std::string config = Deck::parse({read_deck_file(path)}).settings().model.config;
    if (config.rfind("input/", 0) != 0) continue;
    EXPECT_TRUE(std::filesystem::is_regular_file(test::source_dir() / config)) << path << " " << config;
  }
}

}  // namespace
