#pragma once
// The key table for people and programs: what `strata keys` prints and doc/deck.md holds.
#include <string>
#include <string_view>

namespace strata {

/// Every key of a section ("optimizer"), one key ("optimizer.lr") or, for an empty argument, all of them, as plain text. Throws DeckError
/// naming the nearest section or key for an unknown one.
std::string keys_text(std::string_view which = "");
/// The same as a JSON array of objects: section, name, type, default, allowed, choices, unavailable, unit, description, required_by,
/// decides_result, old_names.
std::string keys_json(std::string_view which = "");
/// doc/deck.md, whole.
std::string keys_markdown();

}  // namespace strata
