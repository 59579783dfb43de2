#pragma once
// Problems: mistakes gathered from all lines and thrown together.
#include <string>
#include <string_view>
#include <vector>

#include "strata/deck/deck.hpp"

namespace strata::deck {

class Problems {
 public:
  /// `where` is "deck:line" or "command line"; `line` is shown below the message, empty: nothing is. `number` orders the problems of a
  /// source; `key` is the key concerned.
  void add(const std::string& where, const std::string& message, std::string_view line = {}, int number = 0, const std::string& key = "");
  /// What follows comes from another deck, or from the command line.
  void next_source() { ++source_; }
  bool empty() const { return list_.empty(); }
  /// Every problem, by source and line.
  std::vector<DeckMistake> sorted() const;

 private:
  struct Problem {
    int source, number;
    DeckMistake mistake;
  };
  std::vector<Problem> list_;
  int source_ = 0;
};

}  // namespace strata::deck
