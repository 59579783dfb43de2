// Mistakes gathered from all lines, put in order, and thrown together.
#include "deck/problems.hpp"

#include <algorithm>

#include "deck/text_tools.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace deck {

void Problems::add(const std::string& where, const std::string& message, std::string_view line, int number, const std::string& key) {
  list_.push_back({source_, number, {key, where, message, std::string(trimmed(line))}});
}

std::vector<DeckMistake> Problems::sorted() const {
  std::vector<Problem> all = list_;
  std::stable_sort(all.begin(), all.end(),
                   [](const Problem& a, const Problem& b) { return a.source != b.source ? a.source < b.source : a.number < b.number; });
  std::vector<DeckMistake> mistakes;
  for (const Problem& problem : all) mistakes.push_back(problem.mistake);
  return mistakes;
}

}  // namespace deck

void throw_mistakes(const std::vector<DeckMistake>& mistakes) {
  if (mistakes.empty()) return;
  std::string all;
  for (const DeckMistake& mistake : mistakes) {
    all += mistake.where + ": " + mistake.message + "\n";
    if (!mistake.line.empty()) all += "    " + deck::printable(mistake.line) + "\n";
  }
  throw DeckError(all + (mistakes.size() == 1 ? "1 mistake" : std::to_string(mistakes.size()) + " mistakes") +
                  " in the deck or on the command line");
}

}  // namespace strata
