#pragma once
// Files that `strata measure` writes: a deck's form, with sections and keys of their own.
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "deck/problems.hpp"
#include "deck/scan.hpp"

namespace strata::deck {

/// Gives each entry of the text to `read`, which returns what is wrong with it (empty: nothing). Sections that are not in `sections`, keys
/// that are given twice, and what `read` finds go to `problems`; `kind` says what the file is: "machine file". Returns the keys that were
/// given, as "section.key".
std::set<std::string> read_entries(const std::string& name, const std::string& text, const char* kind,
                                   const std::vector<std::string>& sections, const std::function<std::string(const Entry&)>& read,
                                   Problems& problems);

/// With six digits.
std::string number_text(double value);

}  // namespace strata::deck
