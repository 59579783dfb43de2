#pragma once
// Small helpers for the deck's messages: edit distance, nearest word, blanks, and lines that are safe to print.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace strata::deck {

/// Letters to insert, delete, replace or swap with their neighbour to turn `a` into `b`; upper and lower case count as equal.
std::size_t edit_distance(std::string_view a, std::string_view b);
/// The nearest of `words`, or "" when none is near enough to be meant (more than 2 and more than a third of the letters away). First one
/// wins ties.
std::string nearest(std::string_view word, const std::vector<std::string>& words);
/// Without blanks, tabs and carriage returns at both ends.
std::string_view trimmed(std::string_view line);
/// The line with control characters shown as '?' and cut at 160 bytes.
std::string printable(std::string_view line);
/// Whether `text` names the key ("batch.global"), and not only one that begins alike.
bool mentions(std::string_view text, std::string_view key);
/// "a | b | c"
std::string joined(const std::vector<std::string>& words, const char* between);

}  // namespace strata::deck
