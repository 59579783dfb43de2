// The byte alphabet of GPT-2.
#include "tokenizer/byte_alphabet.hpp"

#include "tokenizer/utf8.hpp"

namespace strata {
namespace {

constexpr std::uint32_t alphabet_end = 0x144;  // 256 + the 68 bytes that are not printable

/// Byte of each letter, -1 where a code point below alphabet_end is no letter.
const std::array<std::int16_t, alphabet_end>& bytes_of_letters() {
  static const auto table = [] {
    std::array<std::int16_t, alphabet_end> bytes;
    bytes.fill(-1);
    for (std::size_t b = 0; b < 256; ++b) bytes[letters_of_bytes()[b]] = static_cast<std::int16_t>(b);
    return bytes;
  }();
  return table;
}

}  // namespace

const std::array<std::uint32_t, 256>& letters_of_bytes() {
  static const auto table = [] {
    std::array<std::uint32_t, 256> letters{};
    std::uint32_t next = 256;
    for (std::uint32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= 33 && b < 127) || (b >= 161 && b != 173);
      letters[b] = printable ? b : next++;
    }
    return letters;
  }();
  return table;
}

std::string spell_bytes(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) utf8::append(letters_of_bytes()[static_cast<unsigned char>(c)], out);
  return out;
}

std::string bytes_of_spelling(std::string_view spelling) {
  std::string out;
  const char *at = spelling.data(), *end = at + spelling.size();
  while (at < end) {
    const auto c = utf8::decode(at, end);
    if (c.code >= alphabet_end || bytes_of_letters()[c.code] < 0) return std::string(spelling);
    out.push_back(static_cast<char>(bytes_of_letters()[c.code]));
    at += c.bytes;
  }
  return out;
}

}  // namespace strata
