// Every bad deck in test/deck/bad gives exactly the message in its .expected file. A deck may ask for more than parsing with comment lines:
// `# command: train` validates it for that command, `# override: --section.key=value` adds an argument.
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "deck/deck_fixture.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;

const std::filesystem::path& folder() {
  static const auto path = test::source_dir() / "test" / "deck" / "bad";
  return path;
}

std::string message_of(const std::string& name, const std::string& text) {
  std::vector<std::string> overrides;
  std::string command;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("# command: ", 0) == 0) command = line.substr(11);
    if (line.rfind("# override: ", 0) == 0) overrides.push_back(line.substr(12));
  }
  return test::deck_error([&] {
    const Deck deck = Deck::parse({{name, text}}, overrides, test::small_environment);
    if (!command.empty()) validate(deck, command);
  });
}

TEST(Bad, EveryDeckGivesItsMessage) {
  std::set<std::filesystem::path> decks;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) {
    if (entry.path().extension() == ".in") decks.insert(entry.path());
  }
  ASSERT_GE(decks.size(), 15u);
  for (const auto& path : decks) {
    auto expected = path;
    expected.replace_extension(".expected");
    EXPECT_EQ(message_of(path.filename().string(), test::read_file(path)) + "\n", test::read_file(expected)) << path;
  }
}

TEST(Bad, EveryMessageHasItsDeck) {
  for (const auto& entry : std::filesystem::directory_iterator(folder())) {
    auto deck = entry.path();
    deck.replace_extension(".in");
    EXPECT_TRUE(std::filesystem::exists(deck)) << entry.path();
  }
}

}  // namespace
