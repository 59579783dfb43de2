// Mistakes gathered from all lines and thrown together.
#include "deck/problems.hpp"

#include <algorithm>

#include "deck/text_tools.hpp"
#include "strata/base/error.hpp"

namespace strata::deck {

void Problems::add(const std::string& where, const std::string& message, std::string_view line, int number) {
  std::string entry = where + ": " + message;
  const auto shown = trimmed(line);
  if (!shown.empty()) entry += "\n    " + printable(shown);
  list_.push_back({source_, number, entry});
}

void Problems::throw_if_any() const {
  if (list_.empty()) return;
  std::string all;
  std::vector<Problem> sorted = list_;
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Problem& a, const Problem& b) { return a.source != b.source ? a.source < b.source : a.number < b.number; });
  for (const auto& problem : sorted) all += problem.message + "\n";
  throw DeckError(all + (list_.size() == 1 ? "1 mistake" : std::to_string(list_.size()) + " mistakes") +
                  " in the deck or on the command line");
}

}  // namespace strata::deck
