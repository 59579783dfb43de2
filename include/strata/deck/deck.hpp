#pragma once
// Deck: decks and command line overrides read into Settings, and where each value came from.
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "strata/deck/settings.hpp"

namespace strata {

/// A deck's text and the name that messages call it by.
struct DeckSource {
  std::string name;
  std::string text;
};

/// Reads a deck file; the name is the path as given. Throws DeckError when it cannot be read. Local.
DeckSource read_deck_file(const std::filesystem::path& path);

/// One thing that is wrong with a deck or the command line.
struct DeckMistake {
  std::string key;      // "batch.global"; empty: of no key that exists
  std::string where;    // "input/x.in:12", "command line", or the command that misses the key
  std::string message;  // what was expected, what was found
  std::string line;     // as it stands there; may be empty
};
/// Nothing without mistakes; otherwise one DeckError with all of them, and their number at the end.
void throw_mistakes(const std::vector<DeckMistake>& mistakes);

/// Looks a name up for ${NAME}; nothing: the name is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
/// The environment of this process.
std::optional<std::string> process_environment(const std::string& name);

/// Every key of `strata keys` with its value and origin. Immutable. Local: rank 0 parses and hands its echo() to the others.
class Deck {
 public:
  /// Later decks win over earlier ones, and overrides ("--section.key=value", in order, the last wins) win over all decks.
  /// Unknown sections and keys, wrong values, a key given twice in one deck, unset environment names: all of them, from all sources, are
  /// gathered and thrown as one DeckError, each with "deck:line", the line and the nearest known key.
  /// On a command line `#` starts no comment, and for a key that takes one text a comma is part of it.
  static Deck parse(const std::vector<DeckSource>& sources, const std::vector<std::string>& overrides = {},
                    const Environment& environment = process_environment);
  /// The same, with the mistakes appended to `mistakes` instead of thrown, by source and line: keys that are wrong keep their defaults.
  static Deck gather(const std::vector<DeckSource>& sources, const std::vector<std::string>& overrides, std::vector<DeckMistake>& mistakes,
                     const Environment& environment = process_environment);

  /// This deck with another value of one key, whose origin is `where`; nothing: the key does not take the value.
  std::optional<Deck> with(const std::string& key, const std::string& value, const std::string& where) const;

  const Settings& settings() const { return settings_; }
  /// Whether a deck or the command line gives "section.key" (true for every key when an effective deck is fed back).
  bool given(std::string_view key) const { return where_.find(key) != where_.end(); }
  /// "input/x.in:12", "command line" or "default". Throws InternalError for a key that does not exist.
  std::string where(std::string_view key) const;
  /// The value of "section.key" as a deck would spell it. Throws InternalError for a key that does not exist.
  std::string value(std::string_view key) const;
  /// Every section and key with its value, usable as a deck; behind each value a comment: (default), (command line) or deck:line.
  std::string echo() const;
  /// What the run computes, as a deck: every key but those of the launch (folder, threads, strategy, ...), without origins. Equal for every
  /// launch of a run.
  std::string record() const;
  /// Keys that gather() found something wrong with, or whose names were missed by a letter or two: nothing can be said of their values.
  const std::vector<std::string>& undecided() const { return undecided_; }
  /// Old names in use, in the order of the lines: each with its place and the new name.
  const std::vector<std::string>& warnings() const { return warnings_; }

 private:
  friend class DeckBuilder;
  Settings settings_;
  std::map<std::string, std::string, std::less<>> where_;  // of the keys that were given
  std::vector<std::string> warnings_, undecided_;
};

/// A key whose values differ between two decks.
struct Difference {
  std::string key;              // "optimizer.lr"
  std::string stored, now;      // as a deck would spell them
  bool decides_result = false;  // such a key may not change when a run goes on
  std::string note;             // what else the change means; mostly empty
};

/// All keys that differ, in the order of `strata keys`, but for those of the launch. Paths of files are not marked as deciding: their
/// contents are compared by hash.
std::vector<Difference> differences(const Deck& stored, const Deck& now);

/// Checks what concerns several keys at once, and that `command` (prepare, train, check, plan, evaluate, generate, convert; others need
/// nothing) has what it needs. `ranks` > 0 checks accumulation against the global batch exactly; 0: as far as possible without it.
/// Leaves out what follows from mistakes that gather() told. Opens no file.
std::vector<DeckMistake> contradictions(const Deck& deck, std::string_view command, std::int64_t ranks = 0);
/// All contradictions thrown as one DeckError.
void validate(const Deck& deck, std::string_view command, std::int64_t ranks = 0);

}  // namespace strata
