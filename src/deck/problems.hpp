#pragma once
// Problems: mistakes gathered from all lines and thrown together.
#include <string>
#include <string_view>
#include <vector>

namespace strata::deck {

class Problems {
 public:
  /// `where` is "deck:line" or "command line"; `line` is shown below the message, empty: nothing is. `number` orders the problems of a
  /// source.
  void add(const std::string& where, const std::string& message, std::string_view line = {}, int number = 0);
  /// What follows comes from another deck, or from the command line.
  void next_source() { ++source_; }
  bool empty() const { return list_.empty(); }
  /// One DeckError with every problem by source and line, and their number at the end. Nothing happens when there is none.
  void throw_if_any() const;

 private:
  struct Problem {
    int source, number;
    std::string message;
  };
  std::vector<Problem> list_;
  int source_ = 0;
};

}  // namespace strata::deck
