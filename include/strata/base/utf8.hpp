#pragma once
// UTF-8: where a text is not, and what it becomes when what is wrong is replaced.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace strata {

/// Position of the first byte that is not part of well-formed UTF-8 (no overlong forms, no surrogates, at most U+10FFFF); npos if none.
std::size_t first_invalid_utf8(std::string_view bytes);

/// The bytes with every maximal part of an ill-formed sequence replaced by U+FFFD, as the Unicode standard recommends (section 3.9) and
/// Python's errors="replace" does. Adds the number of replacements to `replaced`.
std::string repaired_utf8(std::string_view bytes, std::int64_t& replaced);

}  // namespace strata
