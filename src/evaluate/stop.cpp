// Stop texts: the earliest place of held_ that is, or may become, the beginning of one.
#include "strata/evaluate/stop.hpp"

#include <utility>

#include "strata/base/error.hpp"

namespace strata {

StopText::StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) {
    if (stop.empty()) throw DeckError("generate.stop: a stop text is empty; it would end every text before its first character");
  }
}

std::string StopText::feed(std::string_view piece) {
  if (found_) return {};
  held_ += piece;
  return take(false);
}

std::string StopText::finish() {
  return found_ ? std::string() : take(true);
}

/// Cuts off held_ what is certain. `complete`: no more text will come, so nothing can become a stop text.
std::string StopText::take(bool complete) {
  std::size_t certain = 0;
  for (bool open = false; certain < held_.size(); ++certain) {
    const std::string_view rest = std::string_view(held_).substr(certain);
    for (const std::string& stop : stops_) {
      if (rest.starts_with(stop)) {
        found_ = true;
        match_ = stop;
        break;
      }
      open |= !complete && std::string_view(stop).starts_with(rest);
    }
    if (found_ || open) break;
  }
  std::string out = held_.substr(0, certain);
  held_.erase(0, found_ ? held_.size() : certain);
  return out;
}

}  // namespace strata
