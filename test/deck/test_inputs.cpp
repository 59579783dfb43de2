// Every deck in input/ parses, validates for the commands it is for, and its effective deck feeds back.
#include <gtest/gtest.h>

#include <set>

#include "deck/deck_fixture.hpp"
#include "strata/models/causal_config.hpp"
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
  for (const auto* name : {"quickstart.in", "qwen3-0.6b-wikitext.in", "qwen3-0.6b-wikitext-scratch.in", "llama.in", "bert-base-squad.in"})
    EXPECT_EQ(names.count(name), 1u) << name;
}

TEST(Inputs, EveryDeckServesTheWholeChain) {
  for (const auto& path : decks()) {
    SCOPED_TRACE(path.string());
    const Deck deck = Deck::parse({read_deck_file(path)});
    EXPECT_TRUE(deck.warnings().empty());
    for (const auto* command : {"prepare", "train", "check", "evaluate"}) EXPECT_NO_THROW(validate(deck, command)) << command;
    const bool writes = deck.settings().prepare.format != "squad";  // who answers questions continues no prompts
    if (writes) {
      EXPECT_NO_THROW(validate(deck, "generate"));
    }
  }
}

TEST(Inputs, EveryEffectiveDeckFeedsBack) {
  for (const auto& path : decks()) {
    const Deck deck = Deck::parse({read_deck_file(path)});
    const Deck again = Deck::parse({{"effective.deck", deck.echo()}});
    EXPECT_EQ(deck.record(), again.record()) << path;
    EXPECT_EQ(deck.settings().run.folder, again.settings().run.folder) << path;
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

TEST(Inputs, ModelConfigsOfTheRepositoryAreSound) {
  int seen = 0;
  for (const auto& path : decks()) {
    const Settings settings = Deck::parse({read_deck_file(path)}).settings();
    if (settings.model.config.rfind("input/", 0) != 0) continue;
    const CausalConfig config = read_model_config(test::source_dir() / settings.model.config);
    EXPECT_EQ(config.family, "qwen3") << path;
    EXPECT_NO_THROW(config.check_sequence(settings.data.sequence)) << path;
    if (settings.tokenizer.train) {
      EXPECT_EQ(config.V, settings.tokenizer.vocabulary) << path;
    }
    ++seen;
  }
  EXPECT_GE(seen, 2);
}

}  // namespace
