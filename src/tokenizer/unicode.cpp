// Unicode properties, built from the generated tables once.
#include "tokenizer/unicode.hpp"

#include <algorithm>

#include "tokenizer/unicode_tables.hpp"

namespace strata::unicode {
namespace {

constexpr std::uint32_t s_base = 0xac00, l_base = 0x1100, v_base = 0x1161, t_base = 0x11a7;  // Hangul, chapter 3.12 of the standard
constexpr std::uint32_t l_count = 19, v_count = 21, t_count = 28, s_count = l_count * v_count * t_count;

const CanonicalPair* find_parts(const CanonicalPair* table, std::size_t count, std::uint32_t code) {
  const auto* at =
      std::lower_bound(table, table + count, code, [](const CanonicalPair& row, std::uint32_t c) { return row.composite < c; });
  return at != table + count && at->composite == code ? at : nullptr;
}

/// The composing pairs, sorted by what they are made of.
const std::vector<CanonicalPair>& by_parts() {
  static const std::vector<CanonicalPair> sorted = [] {
    std::vector<CanonicalPair> rows(composing, composing + composing_count);
    std::sort(rows.begin(), rows.end(),
              [](const auto& a, const auto& b) { return a.first != b.first ? a.first < b.first : a.second < b.second; });
    return rows;
  }();
  return sorted;
}

/// A character does not move if it is a starter, no composite ends with it, and NFC leaves it alone; so is the first part of what it is
/// made of. Text may then be cut before it without changing its NFC.
void mark_moving(std::vector<std::uint8_t>& table) {
  for (std::size_t i = 0; i < combining_classes_count; ++i)
    for (std::uint32_t c = combining_classes[i].first; c <= combining_classes[i].last; ++c) table[c] |= moves;
  for (std::size_t i = 0; i < composing_count; ++i) table[composing[i].second] |= moves;
  for (std::uint32_t c = v_base; c < v_base + v_count; ++c) table[c] |= moves;
  for (std::uint32_t c = t_base + 1; c < t_base + t_count; ++c) table[c] |= moves;
  for (std::size_t i = 0; i < decomposing_count; ++i) table[decomposing[i].composite] |= moves;
  for (std::size_t i = 0; i < composing_count; ++i) {
    std::vector<std::uint32_t> parts;
    decompose(composing[i].composite, parts);
    if (table[parts.front()] & moves) table[composing[i].composite] |= moves;
  }
}

std::vector<std::uint8_t> make_properties() {
  std::vector<std::uint8_t> table(property_count, other);
  const auto mark = [&](const CodeRange* ranges, std::size_t count, Class kind) {
    for (std::size_t i = 0; i < count; ++i) std::fill(table.begin() + ranges[i].first, table.begin() + ranges[i].last + 1, kind);
  };
  mark(letters, letters_count, letter);
  mark(numbers, numbers_count, number);
  mark(spaces, spaces_count, space);
  mark_moving(table);
  return table;
}

}  // namespace

const std::uint8_t* properties() {
  static const std::vector<std::uint8_t> table = make_properties();
  return table.data();
}

std::uint8_t combining_class(std::uint32_t code) {
  const auto* end = combining_classes + combining_classes_count;
  const auto* at = std::lower_bound(combining_classes, end, code, [](const ClassRange& range, std::uint32_t c) { return range.last < c; });
  return at != end && at->first <= code ? at->combining_class : std::uint8_t{0};
}

void decompose(std::uint32_t code, std::vector<std::uint32_t>& out) {
  if (code < 0xc0) return out.push_back(code);
  if (code - s_base < s_count) {  // unsigned: below s_base wraps round
    const std::uint32_t s = code - s_base;
    out.push_back(l_base + s / (v_count * t_count));
    out.push_back(v_base + s / t_count % v_count);
    if (s % t_count) out.push_back(t_base + s % t_count);
    return;
  }
  const CanonicalPair* parts = find_parts(composing, composing_count, code);
  if (!parts) parts = find_parts(decomposing, decomposing_count, code);
  if (!parts) return out.push_back(code);
  decompose(parts->first, out);
  if (parts->second) decompose(parts->second, out);
}

std::uint32_t compose(std::uint32_t first, std::uint32_t second) {
  if (first - l_base < l_count && second - v_base < v_count) return s_base + ((first - l_base) * v_count + second - v_base) * t_count;
  if (first - s_base < s_count && (first - s_base) % t_count == 0 && second - t_base - 1 < t_count - 1) return first + second - t_base;
  const auto& rows = by_parts();
  const auto at = std::lower_bound(rows.begin(), rows.end(), CanonicalPair{0, first, second}, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second < b.second;
  });
  return at != rows.end() && at->first == first && at->second == second ? at->composite : 0;
}

}  // namespace strata::unicode
