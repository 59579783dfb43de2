#pragma once
// Stop texts: finds where a generated text ends, while it arrives in pieces.
#include <string>
#include <string_view>
#include <vector>

namespace strata {

/// The text ends before the earliest place at which any of the stop texts begins. What feed and finish return, put together, is the text up
/// to there, whatever pieces it came in: a piece's end is held back while it may be the beginning of a stop text, and a stop text that is
/// already complete is not yet found while an earlier place may still become one ("b" in "ab", where "abc" is a stop text too). Works on
/// bytes; pieces may end inside a UTF-8 character. Local.
class StopText {
 public:
  /// No stop texts: everything passes. Throws DeckError naming generate.stop for an empty one.
  explicit StopText(std::vector<std::string> stops);

  /// Takes the next piece; returns the text that is certain now to stand before any stop. After found(): pieces are dropped, nothing comes.
  std::string feed(std::string_view piece);
  /// The text is complete: returns what was held back, without the stop text that may stand in it (then found()). Once per text.
  std::string finish();

  /// Whether a stop text was found, and which: the first in the constructor's order that begins at the place. Empty before.
  bool found() const { return found_; }
  const std::string& match() const { return match_; }

 private:
  std::string take(bool complete);

  std::vector<std::string> stops_;
  std::string held_;  // not yet returned
  std::string match_;
  bool found_ = false;
};

}  // namespace strata
