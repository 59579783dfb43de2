// Words and texts: flags, choices, free texts and lists of them.
#include <algorithm>

#include "deck/forms.hpp"
#include "deck/text_tools.hpp"

namespace strata::deck {
namespace {

std::string lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return text;
}

std::string one_item(const Items& items) {
  return items.size() == 1 ? items[0].text : "";
}

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

}  // namespace

std::string Flag::parse(const Items& items, bool& out) const {
  const std::string given = lower(one_item(items));
  const bool yes = given == "true" || given == "on" || given == "yes", no = given == "false" || given == "off" || given == "no";
  if (!yes && !no) return expected_found("true or false", items);
  out = yes;
  return "";
}

std::string Text::parse(const Items& items, std::string& out) const {
  const std::string expected = "one text" + (allowed_.empty() ? "" : ": " + allowed_);
  if (items.size() > 1) {
    return "expected " + expected + ", found " + std::to_string(items.size()) + " items; put a text with a comma in double quotes";
  }
  const std::string value = one_item(items);
  if (holds_ && !holds_(value)) return expected_found(expected, items);
  out = value;
  return "";
}

std::string Texts::parse(const Items& items, std::vector<std::string>& out) const {
  std::vector<std::string> read;
  for (const auto& item : items) {
    if (item.text.empty()) return expected_found("texts that are not empty", items);
    read.push_back(item.text);
  }
  out = std::move(read);
  return "";
}

std::string Texts::print(const std::vector<std::string>& value) const {
  std::vector<std::string> items;
  for (const auto& text : value) items.push_back(quoted_if_needed(text));
  return joined(items, ", ");
}

std::string Words::read(const std::string& given, std::string& out) const {
  std::string word = given;
  for (const auto& [other, meant] : synonyms) {
    if (other == given) word = meant;
  }
  if (contains(available, word)) return out = word, "";
  if (contains(unavailable, word)) return "= " + printable(given) + ": not in this version (available: " + joined(available, ", ") + ")";
  std::vector<std::string> known = available;
  known.insert(known.end(), unavailable.begin(), unavailable.end());
  for (const auto& [other, meant] : synonyms) known.push_back(other);
  const std::string near = given.empty() ? "" : nearest(given, known);
  return "expected " + joined(available, " | ") + ", found " + (given.empty() ? "nothing" : printable(given)) +
         (near.empty() ? "" : "; nearest: " + near);
}

std::string Choice::parse(const Items& items, std::string& out) const {
  if (items.size() > 1) return expected_found(joined(words_.available, " | "), items);
  return words_.read(one_item(items), out);
}

Description Choice::describe() const {
  return {"choice", joined(words_.available, " | "), words_.available, words_.unavailable, false};
}

std::string Choices::parse(const Items& items, std::vector<std::string>& out) const {
  std::vector<std::string> read;
  const bool none = items.size() == 1 && items[0].text == "none";
  for (const auto& item : items) {
    std::string word;
    if (none) break;
    Words words = words_;
    words.available.insert(words.available.begin(), "none");
    const auto complaint = item.text == "none" ? "none stands alone, not in a list" : words.read(item.text, word);
    if (!complaint.empty()) return complaint;
    if (contains(read, word)) return expected_found("each word once", items);
    read.push_back(word);
  }
  if (items.empty()) return expected_found("none, or a list", items);
  out = std::move(read);
  return "";
}

std::string Choices::print(const std::vector<std::string>& value) const {
  return value.empty() ? "none" : joined(value, ", ");
}

Description Choices::describe() const {
  std::vector<std::string> words = words_.available;
  words.insert(words.begin(), "none");
  return {"list of choices", joined(words, " | "), words, words_.unavailable, false};
}

}  // namespace strata::deck
