#pragma once
// The scanner: a deck's lines and command line overrides as sections, keys and items, without knowing which keys exist.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "deck/problems.hpp"
#include "strata/deck/deck.hpp"

namespace strata::deck {

/// One item of a value: `a` in `a, "b"`, with quotes, escapes and ${NAME} resolved.
struct Item {
  std::string text;
  bool quoted = false;
};
using Items = std::vector<Item>;

/// How a value is cut: whether `#` starts a comment and a comma separates items.
struct ValueSyntax {
  bool comments = true;
  bool commas = true;
};

/// Cuts the text behind '=' into items; none for nothing but blanks. Returns what is wrong, or "" and the items.
std::string split_value(std::string_view value, ValueSyntax syntax, const Environment& environment, Items& items);

/// One `key = value` line.
struct Entry {
  std::string section, key;
  Items items;
  std::string where;   // "input/x.in:12", "command line"
  std::string line;    // as it stands there
  int number = 0;      // of the line
  bool usable = true;  // false: the value was already complained about
};

/// A `[section]` line.
struct Heading {
  std::string name, where, line;
  int number = 0;
};

/// Entries and headings of one deck, in order. Malformed lines go to `problems`; entries with a malformed value stay, marked.
struct ScannedDeck {
  std::vector<Heading> headings;
  std::vector<Entry> entries;
};
ScannedDeck scan_deck(const DeckSource& source, const Environment& environment, Problems& problems);

/// "--section.key=value", the dashes being optional. `one_text(section, key)` says whether the key takes one text, whose commas are its
/// own.
std::optional<Entry> scan_override(const std::string& argument, const std::function<bool(const std::string&, const std::string&)>& one_text,
                                   const Environment& environment, Problems& problems);

/// The text as a deck spells it: in double quotes where it would otherwise be read differently.
std::string quoted_if_needed(const std::string& text);

}  // namespace strata::deck
