// Decks read by rank 0, parsed and validated by all.
#include <cstdlib>

#include "strata/base/error.hpp"
#include "strata/base/log.hpp"
#include "strata/commands/command.hpp"
#include "strata/io/file.hpp"

namespace strata {

Session make_session(Communicator& comm, const CommandLine& line, const Command& command) {
  std::vector<DeckMistake> mistakes;
  std::vector<DeckSource> sources;
  if (command.reads_deck) {
    std::vector<std::string> texts(line.words.size()), unreadable(line.words.size());
    guarded(comm, [&] {
      for (std::size_t i = 0; comm.rank() == 0 && i < line.words.size(); ++i) try {
          if (!std::filesystem::is_regular_file(line.words[i])) throw DeckError("the deck does not exist or is not a file");
          texts[i] = read_text(line.words[i], 1 << 24);
        } catch (const Error& e) {
          unreadable[i] = e.what();
          if (!command.tells_mistakes) throw DeckError(text(line.words[i], ": ", e.what()));
        }
    });
    for (std::size_t i = 0; i < line.words.size(); ++i) {
      sources.push_back({line.words[i], broadcast_text(comm, texts[i])});
      const std::string problem = broadcast_text(comm, unreadable[i]);
      if (!problem.empty()) mistakes.push_back({"", line.words[i], problem, ""});
    }
  }
  std::optional<Deck> deck;
  guarded(comm, [&] {
    deck.emplace(Deck::gather(sources, line.overrides, mistakes));
    if (command.tells_mistakes) return;
    if (command.reads_deck)
      for (DeckMistake& mistake : contradictions(*deck, command.name, comm.size())) mistakes.push_back(std::move(mistake));
    throw_mistakes(mistakes);
    for (const std::string& warning : deck->warnings()) log_warning(warning);
  });
  return Session{comm, line, std::move(*deck), std::move(mistakes)};
}

}  // namespace strata
