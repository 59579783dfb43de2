#pragma once
// The commands of the program: what each is called with, and where they are listed.
#include <memory>
#include <string>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/commands/command_line.hpp"
#include "strata/deck/deck.hpp"

namespace strata {

struct NamedTuning;

/// What a command works with. Every rank has the same deck.
struct Session {
  Communicator& comm;
  const CommandLine& line;
  Deck deck;
  std::vector<DeckMistake> mistakes;               // of a command that tells them itself; otherwise none are left
  std::string device_note = {};                    // why device.kind = auto left a GPU alone
  std::shared_ptr<const NamedTuning> tuning = {};  // device.tuning, once agree_tuning() was called; null: none is in use
  const Settings& settings() const { return deck.settings(); }
};

struct Command {
  const char* name;
  const char* summary;   // one line for --help
  const char* help;      // one page, with an example
  bool reads_deck;       // words are deck files
  bool parallel;         // may run on several ranks
  bool saves_on_signal;  // SIGUSR1 and SIGTERM are requests to it; others they end
  int (*run)(Session&);
  bool tells_mistakes = false;  // runs with a deck that has mistakes, and tells them with all else it finds
};

/// All commands, in the order of the help page.
const std::vector<Command>& commands();
/// The one of that name; throws DeckError naming the nearest.
const Command& find_command(const std::string& name);
/// The page of `strata --help`.
std::string help_text();
/// Reads the decks on rank 0, hands them round, parses and validates them for `command`; throws all mistakes together. Collective.
Session make_session(Communicator& comm, const CommandLine& line, const Command& command);

int run_prepare(Session& session);
int run_train(Session& session);
int run_check(Session& session);
int run_plan(Session& session);
int run_evaluate(Session& session);
int run_generate(Session& session);
int run_convert(Session& session);
int run_measure(Session& session);
int run_inspect(Session& session);
int run_keys(Session& session);

}  // namespace strata
