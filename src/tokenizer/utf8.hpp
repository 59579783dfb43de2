#pragma once
// UTF-8 as the tokenizers need it: bytes that belong to no character are kept as characters of their own.
#include <cstdint>
#include <string>
#include <string_view>

namespace strata::utf8 {

/// Code points from here on stand for one byte that is not UTF-8: raw_byte + byte.
constexpr std::uint32_t raw_byte = 0x110000;

struct Character {
  std::uint32_t code;   // code point, or raw_byte + byte
  std::uint32_t bytes;  // [bytes] it occupies
};

/// Character at `at` (< end) that starts with a byte over 0x7f. Overlong forms, surrogates and code points over 10FFFF are not UTF-8.
Character decode_long(const char* at, const char* end);

/// Character at `at` (< end).
inline Character decode(const char* at, const char* end) {
  const auto byte = static_cast<unsigned char>(*at);
  return byte < 0x80 ? Character{byte, 1} : decode_long(at, end);
}

/// Characters in `bytes`, a byte that is not UTF-8 counting as one.
std::size_t count(std::string_view bytes);

/// Appends the character; a raw byte as that byte.
void append(std::uint32_t code, std::string& out);

/// Appends `bytes` as text, each maximal part that is not UTF-8 as one U+FFFD (Unicode's recommendation, as Rust's from_utf8_lossy).
/// Unless `whole`, an unfinished character at the end is kept back. Returns how many bytes were used.
std::size_t append_lossy(std::string_view bytes, bool whole, std::string& out);

}  // namespace strata::utf8
