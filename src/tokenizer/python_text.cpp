// Python's view of text, from the room's Unicode tables.
#include "strata/tokenizer/python_text.hpp"

#include <algorithm>

#include "tokenizer/unicode.hpp"
#include "tokenizer/unicode_tables.hpp"

namespace strata {
namespace {

bool inside(const unicode::CodeRange* ranges, std::size_t count, char32_t code) {
  const auto* end = ranges + count;
  const auto* at = std::lower_bound(ranges, end, code, [](const unicode::CodeRange& range, char32_t c) { return range.last < c; });
  return at != end && at->first <= code;
}

bool is_cased(char32_t code) {
  return inside(unicode::cased, unicode::cased_count, code);
}
bool is_ignorable(char32_t code) {
  return inside(unicode::case_ignorable, unicode::case_ignorable_count, code);
}

/// Whether the sigma at `at` ends a word: behind a cased letter and before none, ignorable characters between passed over.
bool is_final(std::u32string_view text, std::size_t at) {
  std::size_t before = at, after = at + 1;
  while (before > 0 && is_ignorable(text[before - 1])) --before;
  if (before == 0 || !is_cased(text[before - 1])) return false;
  while (after < text.size() && is_ignorable(text[after])) ++after;
  return after == text.size() || !is_cased(text[after]);
}

}  // namespace

std::u32string code_points(std::string_view text) {
  std::u32string codes;
  for (const char *at = text.data(), *end = at + text.size(); at < end;) {
    const auto c = utf8::decode(at, end);
    codes.push_back(c.code < utf8::raw_byte ? c.code : 0xfffd);
    at += c.bytes;
  }
  return codes;
}

std::string utf8_text(std::u32string_view codes) {
  std::string text;
  for (const char32_t code : codes) utf8::append(code, text);
  return text;
}

std::u32string python_lower(std::u32string_view text) {
  constexpr char32_t capital_sigma = 0x3a3, final_sigma = 0x3c2;
  std::u32string lower;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == capital_sigma && is_final(text, i)) {
      lower.push_back(final_sigma);
      continue;
    }
    const auto* end = unicode::bert_lower + unicode::bert_lower_count;
    const auto* row = std::lower_bound(unicode::bert_lower, end, text[i],
                                       [](const unicode::LowerCase& candidate, char32_t c) { return candidate.code < c; });
    if (row == end || row->code != text[i]) {
      lower.push_back(text[i]);
      continue;
    }
    lower.push_back(row->first);
    if (row->second != 0) lower.push_back(row->second);
  }
  return lower;
}

bool is_python_word(char32_t code) {
  const std::uint8_t kind = unicode::properties()[code] & unicode::class_mask;
  return code == '_' || kind == unicode::letter || kind == unicode::number;
}

}  // namespace strata
