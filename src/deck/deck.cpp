// Decks and overrides read into Settings by the key table, with all mistakes gathered; and the echo.
#include "strata/deck/deck.hpp"

#include <algorithm>
#include <cstdlib>

#include "deck/problems.hpp"
#include "deck/scan.hpp"
#include "deck/schema.hpp"
#include "deck/text_tools.hpp"
#include "strata/base/error.hpp"
#include "strata/io/file.hpp"

namespace strata {

using namespace deck;

namespace {

/// A key that exists, or an InternalError: only Strata itself asks by name.
const Key& known_key(std::string_view key) {
  const Key* found = find_key(key);
  STRATA_ASSERT(found != nullptr, "there is no deck key ", key);
  return *found;
}

std::string unknown_key(const Section& section, const std::string& name) {
  std::string message = section.name + "." + printable(name) + ": unknown key";
  const std::string near = nearest(name, key_names(section));
  if (!near.empty()) return message + "; nearest: " + section.name + "." + near;
  for (const auto& other : schema()) {
    if (find_key(other.name, name)) return message + "; there is " + other.name + "." + name;
  }
  return message + "; the keys of [" + section.name + "]: strata keys " + section.name;
}

std::string unknown_section(const std::string& name) {
  const std::string near = nearest(name, section_names());
  return "[" + printable(name) + "]: unknown section; " +
         (near.empty() ? "expected one of " + joined(section_names(), ", ") : "nearest: [" + near + "]");
}

}  // namespace

/// Applies sources and overrides to a Deck, one after the other.
class DeckBuilder {
 public:
  explicit DeckBuilder(const Environment& environment) : environment_(environment) {}

  void add(const DeckSource& source) {
    problems_.next_source();
    const ScannedDeck scanned = scan_deck(source, environment_, problems_);
    for (const auto& heading : scanned.headings) {
      if (!find_section(heading.name)) {
        problems_.add(heading.where, unknown_section(heading.name), heading.line, heading.number);
        leave_undecided(heading.name);
      }
    }
    std::map<std::string, std::string> seen;  // full name -> where, within this deck
    for (const auto& entry : scanned.entries) {
      const Key* key = resolve(entry);
      if (!key) continue;
      const auto [first, fresh] = seen.emplace(key->full_name(), entry.where);
      if (!fresh) complain(*key, entry, " is given twice; first at " + first->second);
      if (!entry.usable) deck_.undecided_.push_back(key->full_name());
      if (fresh && entry.usable) apply(*key, entry);
    }
  }

  void add(const std::string& argument) {
    problems_.next_source();
    const auto one_text = [](const std::string& section, const std::string& name) {
      const Key* key = find_key(section, name);
      return key && key->form.one_text;
    };
    const auto entry = scan_override(argument, one_text, environment_, problems_);
    if (!entry) return;
    if (!find_section(entry->section)) {
      problems_.add(entry->where, unknown_section(entry->section), entry->line, entry->number);
      leave_undecided(entry->section);
    }
    const Key* key = resolve(*entry);
    if (key && entry->usable) apply(*key, *entry);
  }

  Deck finish(std::vector<DeckMistake>& mistakes) {
    for (DeckMistake& mistake : problems_.sorted()) mistakes.push_back(std::move(mistake));
    return std::move(deck_);
  }

 private:
  /// The entry's key; an unknown one is a problem, one in an unknown section was one already.
  const Key* resolve(const Entry& entry) {
    const Section* section = find_section(entry.section);
    if (!section) return nullptr;
    const Key* key = find_key(entry.section, entry.key);
    if (!key) {
      problems_.add(entry.where, unknown_key(*section, entry.key), entry.line, entry.number);
      const std::string near = nearest(entry.key, key_names(*section));
      if (!near.empty()) deck_.undecided_.push_back(section->name + "." + near);
    }
    return key;
  }

  void complain(const Key& key, const Entry& entry, const std::string& complaint) {
    problems_.add(entry.where, key.full_name() + complaint, entry.line, entry.number, key.full_name());
    deck_.undecided_.push_back(key.full_name());
  }

  /// What stands in a section whose name is misspelt is not known.
  void leave_undecided(const std::string& section) {
    const Section* near = find_section(nearest(section, section_names()));
    if (!near) return;
    for (const Key& key : near->keys) deck_.undecided_.push_back(key.full_name());
  }

  void apply(const Key& key, const Entry& entry) {
    const std::string complaint = key.set(deck_.settings_, entry.items);
    if (!complaint.empty()) return complain(key, entry, (complaint[0] == '=' ? " " : ": ") + complaint);
    deck_.where_[key.full_name()] = entry.where;
    if (entry.key != key.name) {
      deck_.warnings_.push_back(entry.where + ": " + entry.section + "." + entry.key + " is an old name; it is " + key.full_name() +
                                " now");
    }
  }

  const Environment& environment_;
  Problems problems_;
  Deck deck_;
};

DeckSource read_deck_file(const std::filesystem::path& path) {
  constexpr std::int64_t limit = 16 << 20;  // [bytes] a deck is a page or two
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) throw DeckError(path.string() + ": expected a deck, found a folder");
  try {
    return {path.string(), read_text(path, limit)};
  } catch (const DataError& error) {
    throw DeckError(std::string("the deck cannot be read: ") + error.what());
  }
}

std::optional<std::string> process_environment(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  return value ? std::optional<std::string>(value) : std::nullopt;
}

Deck Deck::parse(const std::vector<DeckSource>& sources, const std::vector<std::string>& overrides, const Environment& environment) {
  std::vector<DeckMistake> mistakes;
  Deck deck = gather(sources, overrides, mistakes, environment);
  throw_mistakes(mistakes);
  return deck;
}

Deck Deck::gather(const std::vector<DeckSource>& sources, const std::vector<std::string>& overrides, std::vector<DeckMistake>& mistakes,
                  const Environment& environment) {
  DeckBuilder builder(environment);
  for (const auto& source : sources) builder.add(source);
  for (const auto& argument : overrides) builder.add(argument);
  return builder.finish(mistakes);
}

std::optional<Deck> Deck::with(const std::string& key, const std::string& value, const std::string& where) const {
  Problems problems;
  const auto entry = scan_override(
      "--" + key + "=" + value, [](const std::string&, const std::string&) { return false; }, process_environment, problems);
  Deck changed = *this;
  if (!entry || !entry->usable || !known_key(key).set(changed.settings_, entry->items).empty()) return std::nullopt;
  changed.where_[key] = where;
  return changed;
}

std::string Deck::where(std::string_view key) const {
  const auto found = where_.find(known_key(key).full_name());
  return found == where_.end() ? "default" : found->second;
}

std::string Deck::value(std::string_view key) const {
  return known_key(key).get(settings_);
}

std::string Deck::record() const {
  std::string out;
  for (const auto& section : schema()) {
    std::string lines;
    for (const auto& key : section.keys)
      if (!key.of_launch) lines += key.name + " = " + key.get(settings_) + "\n";
    if (!lines.empty()) out += (out.empty() ? "[" : "\n[") + section.name + "]\n" + lines;
  }
  return out;
}

std::string Deck::echo() const {
  constexpr std::size_t comment_column = 48;
  std::string out = "# The whole deck in effect. It can be used as a deck; behind each value stands where it came from.\n";
  for (const auto& section : schema()) {
    std::size_t width = 0;
    for (const auto& key : section.keys) width = std::max(width, key.name.size());
    out += "\n[" + section.name + "]\n";
    for (const auto& key : section.keys) {
      std::string line = key.name + std::string(width - key.name.size(), ' ') + " = " + key.get(settings_);
      line += std::string(line.size() < comment_column ? comment_column - line.size() : 1, ' ');
      const auto found = where_.find(key.full_name());
      out += line + "# " +
             (found == where_.end()             ? "(default)"
              : found->second == "command line" ? "(command line)"
                                                : printable(found->second)) +
             "\n";
    }
  }
  return out;
}

}  // namespace strata
