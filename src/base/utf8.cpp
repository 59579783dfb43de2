// UTF-8 after table 3-7 of the Unicode standard.
#include "strata/base/utf8.hpp"

namespace strata {
namespace {

/// What stands at the beginning of some bytes: a character, or the part of one that is well-formed so far (at least one byte).
struct Beginning {
  std::size_t bytes = 1;
  bool complete = false;
};

Beginning beginning(const unsigned char* b, std::size_t left) {
  const unsigned lead = b[0];
  if (lead < 0x80) return {1, true};
  if (lead < 0xc2 || lead > 0xf4) return {1, false};
  const std::size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  for (std::size_t i = 1; i < length; ++i) {
    unsigned low = 0x80, high = 0xbf;
    if (i == 1 && lead == 0xe0) low = 0xa0;
    if (i == 1 && lead == 0xed) high = 0x9f;
    if (i == 1 && lead == 0xf0) low = 0x90;
    if (i == 1 && lead == 0xf4) high = 0x8f;
    if (i >= left || b[i] < low || b[i] > high) return {i, false};
  }
  return {length, true};
}

}  // namespace

std::size_t first_invalid_utf8(std::string_view bytes) {
  const auto* b = reinterpret_cast<const unsigned char*>(bytes.data());
  for (std::size_t i = 0; i < bytes.size();) {
    const Beginning found = beginning(b + i, bytes.size() - i);
    if (!found.complete) return i;
    i += found.bytes;
  }
  return std::string_view::npos;
}

std::string repaired_utf8(std::string_view bytes, std::int64_t& replaced) {
  std::string result;
  result.reserve(bytes.size());
  const auto* b = reinterpret_cast<const unsigned char*>(bytes.data());
  for (std::size_t i = 0; i < bytes.size();) {
    const Beginning found = beginning(b + i, bytes.size() - i);
    if (found.complete)
      result.append(bytes, i, found.bytes);
    else
      result += "\xef\xbf\xbd", ++replaced;
    i += found.bytes;
  }
  return result;
}

}  // namespace strata
