#pragma once
// Shared by the deck tests: parsing one text, and the message of the DeckError that something throws.
#include <functional>
#include <string>
#include <vector>

#include "strata/base/error.hpp"
#include "strata/deck/deck.hpp"

namespace strata::test {

/// An environment with NAME = value and EMPTY = "".
inline std::optional<std::string> small_environment(const std::string& name) {
  if (name == "NAME") return "value";
  if (name == "EMPTY") return "";
  return std::nullopt;
}

inline Deck parse_text(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return Deck::parse({{"x.in", text}}, overrides, small_environment);
}

/// What the DeckError says; another outcome says itself.
inline std::string deck_error(const std::function<void()>& work) {
  try {
    work();
  } catch (const DeckError& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another class of error: ") + error.what();
  }
  return "no error";
}

inline std::string parse_error(const std::string& text, const std::vector<std::string>& overrides = {}) {
  return deck_error([&] { parse_text(text, overrides); });
}

}  // namespace strata::test
