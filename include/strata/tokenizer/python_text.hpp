#pragma once
// Text as Python's str sees it: code points, lower case, and what its regular expressions take for a word.
#include <string>
#include <string_view>

namespace strata {

/// Code points of UTF-8; bytes that are not UTF-8 become U+FFFD each.
std::u32string code_points(std::string_view text);
/// UTF-8 of code points.
std::string utf8_text(std::u32string_view codes);
/// str.lower(): letter by letter (Unicode 17), a capital sigma at a word's end becoming a final one.
std::u32string python_lower(std::u32string_view text);
/// Whether \w of Python's re matches: letters, numbers (Unicode 16), the underscore.
bool is_python_word(char32_t code);

}  // namespace strata
