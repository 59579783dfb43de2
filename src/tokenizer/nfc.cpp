// NFC: only the stretches in which something can move are taken apart.
#include "strata/tokenizer/nfc.hpp"

#include <algorithm>
#include <cstring>

#include "tokenizer/unicode.hpp"

namespace strata {
namespace {

/// First byte at or after `at` that starts a character of U+0300 or above (or is not UTF-8); smaller ones never move.
const char* skip_small(const char* at, const char* end) {
  while (true) {
    for (; end - at >= 8; at += 8) {
      std::uint64_t word;
      std::memcpy(&word, at, 8);
      if (word & 0x8080808080808080u) break;
    }
    while (at < end && static_cast<unsigned char>(*at) < 0x80) ++at;
    if (at == end) return end;
    const auto byte = static_cast<unsigned char>(*at);
    if (byte >= 0xcc || byte < 0xc2 || end - at < 2 || (static_cast<unsigned char>(at[1]) & 0xc0) != 0x80) return at;
    at += 2;  // U+0080 to U+02FF
  }
}

/// Sorts each run of combining marks by class, equal classes in the order they came (the standard's canonical ordering).
void reorder(std::vector<std::uint32_t>& codes) {
  for (std::size_t i = 0; i < codes.size();) {
    std::size_t j = i;
    while (j < codes.size() && unicode::combining_class(codes[j]) != 0) ++j;
    if (j - i > 1)
      std::stable_sort(codes.begin() + static_cast<std::ptrdiff_t>(i), codes.begin() + static_cast<std::ptrdiff_t>(j),
                       [](std::uint32_t a, std::uint32_t b) { return unicode::combining_class(a) < unicode::combining_class(b); });
    i = j == i ? i + 1 : j;
  }
}

/// Canonical composition in place: a character joins the last starter unless something between has its class or a higher one.
void compose_all(std::vector<std::uint32_t>& codes) {
  constexpr std::size_t none = static_cast<std::size_t>(-1);
  std::size_t out = 0, starter = none;
  int last_class = 0;  // of codes[out - 1]
  for (const std::uint32_t code : codes) {
    const int own = unicode::combining_class(code);
    const bool reachable = starter != none && (starter + 1 == out || (last_class > 0 && last_class < own));
    const std::uint32_t whole = reachable ? unicode::compose(codes[starter], code) : 0;
    if (whole) {
      codes[starter] = whole;
      continue;
    }
    if (own == 0) starter = out;
    codes[out++] = code;
    last_class = own;
  }
  codes.resize(out);
}

void append_region(const char* at, const char* end, std::string& out) {
  static thread_local std::vector<std::uint32_t> codes;
  codes.clear();
  while (at < end) {
    const auto c = utf8::decode(at, end);
    unicode::decompose(c.code, codes);
    at += c.bytes;
  }
  reorder(codes);
  compose_all(codes);
  for (const std::uint32_t code : codes) utf8::append(code, out);
}

bool moves(const std::uint8_t* table, std::uint32_t code) {
  return table[code] & unicode::moves;
}

}  // namespace

bool is_surely_nfc(std::string_view text) {
  const std::uint8_t* table = unicode::properties();
  const char *at = text.data(), *end = at + text.size();
  while ((at = skip_small(at, end)) < end) {
    const auto c = utf8::decode(at, end);
    if (moves(table, c.code)) return false;
    at += c.bytes;
  }
  return true;
}

void append_nfc(std::string_view text, std::string& out) {
  const std::uint8_t* table = unicode::properties();
  const char *at = text.data(), *end = at + text.size(), *copied = at, *previous = at;
  while (at < end) {
    const auto c = utf8::decode(at, end);
    if (!moves(table, c.code)) {
      previous = at;
      at += c.bytes;
      continue;
    }
    // The region: the character before, which may be joined with, and all that moves behind it.
    out.append(copied, previous);
    const char* stop = at + c.bytes;
    while (stop < end) {
      const auto next = utf8::decode(stop, end);
      if (!moves(table, next.code)) break;
      stop += next.bytes;
    }
    append_region(previous, stop, out);
    at = copied = previous = stop;
  }
  out.append(copied, end);
}

}  // namespace strata
