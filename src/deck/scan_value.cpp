// Values: items between commas, double quotes with escapes, and names from the environment.
#include <cstdlib>

#include "deck/scan.hpp"
#include "deck/text_tools.hpp"

namespace strata::deck {
namespace {

bool blank(char c) {
  return c == ' ' || c == '\t' || c == '\r';
}

class ValueScanner {
 public:
  ValueScanner(std::string_view value, ValueSyntax syntax, const Environment& environment, Items& items)
      : value_(value), syntax_(syntax), environment_(environment), items_(items) {}

  std::string scan() {
    while (at_ < value_.size() && complaint_.empty()) {
      if (!take()) break;
    }
    if (!complaint_.empty()) return complaint_;
    finish(items_.empty());
    return complaint_;
  }

 private:
  /// Takes one character or one quoted part; false at a comment.
  bool take() {
    const char c = value_[at_];
    if (c == '#' && syntax_.comments) return false;
    if (c == '"') {
      open_quote();
    } else if (c == ',' && syntax_.commas) {
      finish(false);
      ++at_;
    } else if (item_.quoted && !blank(c)) {
      complaint_ = "text after the closing double quote; expected a comma or the end of the value";
    } else if (starts_name()) {
      expand();
      kept_ = item_.text.size();
    } else {
      if (!(blank(c) && (item_.text.empty() || item_.quoted))) item_.text += c;
      if (!blank(c)) kept_ = item_.text.size();
      ++at_;
    }
    return true;
  }

  /// A quote opens at the start of an item, or behind a colon as in between:"# ".
  void open_quote() {
    if (item_.quoted || !(item_.text.empty() || item_.text.back() == ':')) {
      complaint_ = "a double quote in the middle of a value; put the whole value in double quotes and write \\\" for the inner ones";
      return;
    }
    item_.quoted = true;
    for (++at_; at_ < value_.size() && complaint_.empty();) {
      if (value_[at_] == '"') {
        ++at_;
        kept_ = item_.text.size();
        return;
      }
      if (value_[at_] == '\\') {
        escape();
      } else if (starts_name()) {
        expand();
      } else {
        item_.text += value_[at_++];
      }
    }
    if (complaint_.empty()) complaint_ = "the closing double quote is missing";
  }

  void escape() {
    constexpr std::string_view names = "ntr\"\\$", meanings = "\n\t\r\"\\$";
    const auto which = at_ + 1 < value_.size() ? names.find(value_[at_ + 1]) : std::string_view::npos;
    if (which == std::string_view::npos) {
      complaint_ = "unknown escape " + printable(value_.substr(at_, 2)) + " in double quotes; expected \\n \\t \\r \\\" \\\\ or \\$";
      return;
    }
    item_.text += meanings[which];
    at_ += 2;
  }

  bool starts_name() const { return value_.substr(at_, 2) == "${"; }

  void expand() {
    const auto end = value_.find('}', at_);
    if (end == std::string_view::npos || end == at_ + 2) {
      complaint_ = "expected ${NAME} with the name of an environment variable, found " + printable(trimmed(value_.substr(at_)));
      return;
    }
    const std::string name(value_.substr(at_ + 2, end - at_ - 2));
    const auto found = environment_(name);
    if (!found) {
      complaint_ = "the environment variable " + printable(name) + " is not set";
      return;
    }
    item_.text += *found;
    at_ = end + 1;
  }

  /// Closes the item. An empty unquoted one is right only as the whole value.
  void finish(bool may_be_nothing) {
    item_.text.resize(kept_);
    if (item_.text.empty() && !item_.quoted) {
      if (!may_be_nothing) complaint_ = "an empty item in a list; remove the comma, or write \"\" for an empty text";
      return;
    }
    items_.push_back(item_);
    item_ = {};
    kept_ = 0;
  }

  std::string_view value_;
  ValueSyntax syntax_;
  const Environment& environment_;
  Items& items_;
  std::size_t at_ = 0;
  Item item_;
  std::size_t kept_ = 0;  // length of the item up to its last character that is no loose blank
  std::string complaint_;
};

}  // namespace

std::string split_value(std::string_view value, ValueSyntax syntax, const Environment& environment, Items& items) {
  items.clear();
  return ValueScanner(value, syntax, environment, items).scan();
}

std::string quoted_if_needed(const std::string& text) {
  bool needed = text.empty() || blank(text.front()) || blank(text.back()) || text.find("${") != std::string::npos;
  std::string inside;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    needed = needed || c == '#' || c == ',' || c == '"' || c == '\\' || static_cast<unsigned char>(c) < 0x20;
    if (c == '\n')
      inside += "\\n";
    else if (c == '\t')
      inside += "\\t";
    else if (c == '\r')
      inside += "\\r";
    else if (c == '"' || c == '\\' || (c == '$' && text.compare(i, 2, "${") == 0))
      (inside += '\\') += c;
    else
      inside += c;
  }
  return needed ? '"' + inside + '"' : text;
}

}  // namespace strata::deck
