// UTF-8 decoding and repair.
#include "tokenizer/utf8.hpp"

namespace strata::utf8 {
namespace {

struct Scan {
  std::uint32_t code = 0;
  std::size_t valid = 0;  // bytes that fit a character's beginning, at least 1 of a bad one
  bool complete = false;  // a whole character
  bool cut = false;       // the text ends inside what may become a character
};

/// Follows table 3-7 of the Unicode standard, byte by byte, so that `valid` is the maximal part of an ill-formed sequence.
Scan scan(const unsigned char* at, std::size_t left) {
  const unsigned lead = at[0];
  Scan result;
  result.valid = 1;
  if (lead < 0x80) return {lead, 1, true, false};
  if (lead < 0xc2 || lead > 0xf4) return result;
  const std::size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  result.code = lead & (0xffu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (i == left) {
      result.cut = true;
      return result;
    }
    unsigned low = 0x80, high = 0xbf;
    if (i == 1) {
      if (lead == 0xe0) low = 0xa0;
      if (lead == 0xed) high = 0x9f;
      if (lead == 0xf0) low = 0x90;
      if (lead == 0xf4) high = 0x8f;
    }
    if (at[i] < low || at[i] > high) return result;
    result.code = result.code << 6 | (at[i] & 0x3fu);
    ++result.valid;
  }
  result.complete = true;
  return result;
}

}  // namespace

Character decode_long(const char* at, const char* end) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(at);
  const Scan found = scan(bytes, static_cast<std::size_t>(end - at));
  if (!found.complete) return {raw_byte + bytes[0], 1};
  return {found.code, static_cast<std::uint32_t>(found.valid)};
}

std::size_t count(std::string_view bytes) {
  std::size_t characters = 0;
  for (const char *at = bytes.data(), *end = at + bytes.size(); at < end; ++characters) at += decode(at, end).bytes;
  return characters;
}

void append(std::uint32_t code, std::string& out) {
  const auto put = [&](std::uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code >= raw_byte) return put(code - raw_byte);
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xc0 | code >> 6);
  } else {
    if (code < 0x10000) {
      put(0xe0 | code >> 12);
    } else {
      put(0xf0 | code >> 18);
      put(0x80 | (code >> 12 & 0x3f));
    }
    put(0x80 | (code >> 6 & 0x3f));
  }
  put(0x80 | (code & 0x3f));
}

std::size_t append_lossy(std::string_view bytes, bool whole, std::string& out) {
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t at = 0;
  while (at < bytes.size()) {
    const Scan found = scan(data + at, bytes.size() - at);
    if (found.cut && !whole) break;
    if (found.complete)
      out.append(bytes, at, found.valid);
    else
      out += "\xef\xbf\xbd";
    at += found.valid;
  }
  return at;
}

}  // namespace strata::utf8
