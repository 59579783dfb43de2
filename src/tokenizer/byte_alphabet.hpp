#pragma once
// How the files of byte-level BPE spell bytes: printable ones as themselves, the others as letters from U+0100 on ("Ġ" is a blank).
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace strata {

/// The letter (code point) that stands for each byte.
const std::array<std::uint32_t, 256>& letters_of_bytes();

/// The spelling of bytes.
std::string spell_bytes(std::string_view bytes);

/// The bytes of a spelling. A text with any character outside the alphabet stands for itself, as in Hugging Face's decoder.
std::string bytes_of_spelling(std::string_view spelling);

}  // namespace strata
