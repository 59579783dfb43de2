// Lines of a deck and command line arguments, cut into section, key and items.
#include "deck/scan.hpp"

#include <algorithm>

#include "deck/text_tools.hpp"
#include "strata/base/error.hpp"
#include "strata/base/utf8.hpp"

namespace strata::deck {
namespace {

/// Where a `#` outside double quotes starts a comment, or the end. For lines that are no assignment.
std::string_view without_comment(std::string_view line) {
  return line.substr(0, line.find('#'));
}

class DeckScanner {
 public:
  DeckScanner(const DeckSource& source, const Environment& environment, Problems& problems)
      : source_(source), environment_(environment), problems_(problems) {}

  ScannedDeck scan() {
    std::string_view rest = source_.text;
    if (!is_text(rest)) return {};
    if (rest.substr(0, 3) == "\xEF\xBB\xBF") rest.remove_prefix(3);
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      ++number_;
      scan_line(rest.substr(0, end));
      if (end == std::string_view::npos) break;
      rest.remove_prefix(end + 1);
    }
    return std::move(deck_);
  }

 private:
  /// Binary files and UTF-16 give one message instead of one per line.
  bool is_text(std::string_view content) {
    if (content.find('\0') == std::string_view::npos) return is_utf8(content);
    problems_.add(source_.name, "not text: expected UTF-8, found zero bytes (a binary file, or text saved as UTF-16)");
    return false;
  }

  /// What a deck says goes into logs, checkpoints and JSON, which are UTF-8.
  bool is_utf8(std::string_view content) {
    const std::size_t at = first_invalid_utf8(content);
    if (at == std::string_view::npos) return true;
    const auto line = 1 + std::count(content.begin(), content.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    problems_.add(text(source_.name, ":", line),
                  text("not UTF-8: byte ", at, ", 0x", std::hex, static_cast<int>(static_cast<unsigned char>(content[at])),
                       ", begins no valid character; save the file as UTF-8"));
    return false;
  }

  std::string where() const { return source_.name + ":" + std::to_string(number_); }

  void scan_line(std::string_view line) {
    const auto content = trimmed(line);
    if (content.empty() || content.front() == '#') return;
    if (content.front() == '[') {
      heading(line, trimmed(without_comment(content)));
    } else {
      assignment(line, content);
    }
  }

  void heading(std::string_view line, std::string_view content) {
    const auto end = content.find(']');
    if (end == std::string_view::npos) {
      problems_.add(where(), "a section's closing ] is missing; expected [section]", line, number_);
    } else if (end + 1 != content.size()) {
      problems_.add(where(), "text after [section]; a key belongs on a line of its own", line, number_);
    }
    section_ = std::string(trimmed(content.substr(1, end == std::string_view::npos ? end : end - 1)));
    in_section_ = true;
    deck_.headings.push_back({section_, where(), std::string(line), number_});
  }

  void assignment(std::string_view line, std::string_view content) {
    const auto equals = content.find('=');
    if (equals == std::string_view::npos || content.find('#') < equals) {
      problems_.add(where(), "expected [section] or key = value, found no =", line, number_);
      return;
    }
    const auto key = trimmed(content.substr(0, equals));
    if (key.empty()) {
      problems_.add(where(), "expected key = value, found nothing before =", line, number_);
      return;
    }
    if (!in_section_) {
      problems_.add(where(), "the key " + printable(key) + " stands before the first [section]", line, number_);
      return;
    }
    Entry entry{section_, std::string(key), {}, where(), std::string(line), number_};
    const auto complaint = split_value(content.substr(equals + 1), {}, environment_, entry.items);
    if (!complaint.empty()) {
      problems_.add(where(), section_ + "." + printable(key) + ": " + complaint, line, number_);
      entry.usable = false;
    }
    deck_.entries.push_back(std::move(entry));
  }

  const DeckSource& source_;
  const Environment& environment_;
  Problems& problems_;
  ScannedDeck deck_;
  std::string section_;
  bool in_section_ = false;
  int number_ = 0;
};

}  // namespace

ScannedDeck scan_deck(const DeckSource& source, const Environment& environment, Problems& problems) {
  return DeckScanner(source, environment, problems).scan();
}

std::optional<Entry> scan_override(const std::string& argument, const std::function<bool(const std::string&, const std::string&)>& one_text,
                                   const Environment& environment, Problems& problems) {
  std::string_view rest = argument;
  if (const std::size_t at = first_invalid_utf8(argument); at != std::string::npos) {
    std::int64_t ignored = 0;
    problems.add("command line", text("not UTF-8: byte ", at, " of the argument begins no valid character"),
                 repaired_utf8(argument, ignored));
    return std::nullopt;
  }
  if (rest.substr(0, 2) == "--") rest.remove_prefix(2);
  const auto equals = rest.find('=');
  const auto name = trimmed(rest.substr(0, equals));
  const auto dot = name.find('.');
  if (equals == std::string_view::npos || dot == std::string_view::npos) {
    problems.add("command line", "expected --section.key=value", argument);
    return std::nullopt;
  }
  Entry entry{std::string(name.substr(0, dot)), std::string(name.substr(dot + 1)), {}, "command line", argument, 0};
  const ValueSyntax syntax{.comments = false, .commas = !one_text(entry.section, entry.key)};
  const auto complaint = split_value(rest.substr(equals + 1), syntax, environment, entry.items);
  if (!complaint.empty()) {
    problems.add("command line", printable(name) + ": " + complaint, argument);
    entry.usable = false;
  }
  return entry;
}

}  // namespace strata::deck
