// BERT's normalisation: one table with a byte per code point answers nearly everything.
#include "tokenizer/bert_text.hpp"

#include <algorithm>

#include "tokenizer/unicode.hpp"
#include "tokenizer/unicode_tables.hpp"

namespace strata {
namespace {
using unicode::CodeRange;

enum Kind : std::uint8_t { dropped = 1, blank = 2, chinese = 4, accent = 8, punctuation = 16, capital = 32, decomposes = 64 };

std::vector<std::uint8_t> make_kinds() {
  std::vector<std::uint8_t> table(unicode::property_count, 0);
  const auto mark = [&](const CodeRange* ranges, std::size_t count, Kind kind) {
    for (std::size_t i = 0; i < count; ++i)
      for (std::uint32_t c = ranges[i].first; c <= ranges[i].last; ++c) table[c] |= kind;
  };
  mark(unicode::bert_dropped, unicode::bert_dropped_count, dropped);
  mark(unicode::bert_spaces, unicode::bert_spaces_count, blank);
  mark(unicode::bert_cjk, unicode::bert_cjk_count, chinese);
  mark(unicode::bert_accents, unicode::bert_accents_count, accent);
  mark(unicode::bert_punctuation, unicode::bert_punctuation_count, punctuation);
  for (std::size_t i = 0; i < unicode::bert_lower_count; ++i) table[unicode::bert_lower[i].code] |= capital;
  std::vector<std::uint32_t> parts;
  for (std::uint32_t c = 0xc0; c < utf8::raw_byte; ++c) {
    parts.clear();
    unicode::decompose(c, parts);
    if (parts.size() > 1 || parts[0] != c) table[c] |= decomposes;
  }
  return table;
}

const std::uint8_t* kinds() {
  static const std::vector<std::uint8_t> table = make_kinds();
  return table.data();
}

/// Sorts each run of combining marks by class, equal classes as they came.
void reorder(std::vector<BertLetter>& letters, std::size_t from) {
  const auto mark = [&](std::size_t i) { return letters[i].code >= 0x300 && unicode::combining_class(letters[i].code) != 0; };
  for (std::size_t i = from; i < letters.size();) {
    std::size_t j = i;
    while (j < letters.size() && mark(j)) ++j;
    if (j - i > 1)
      std::stable_sort(
          letters.begin() + static_cast<std::ptrdiff_t>(i), letters.begin() + static_cast<std::ptrdiff_t>(j),
          [](const BertLetter& a, const BertLetter& b) { return unicode::combining_class(a.code) < unicode::combining_class(b.code); });
    i = j == i ? i + 1 : j;
  }
}

void decompose_and_strip(std::vector<BertLetter>& letters, std::size_t from) {
  const std::uint8_t* table = kinds();
  const auto all = [&](std::uint8_t kind) {
    return std::any_of(letters.begin() + static_cast<std::ptrdiff_t>(from), letters.end(),
                       [&](const BertLetter& l) { return table[l.code] & kind; });
  };
  if (!all(decomposes | accent)) return;
  std::vector<BertLetter> apart;
  std::vector<std::uint32_t> parts;
  for (std::size_t i = from; i < letters.size(); ++i) {
    parts.clear();
    unicode::decompose(letters[i].code, parts);
    for (const std::uint32_t part : parts) apart.push_back({part, letters[i].place});
  }
  letters.resize(from);
  letters.insert(letters.end(), apart.begin(), apart.end());
  reorder(letters, from);
  letters.erase(std::remove_if(letters.begin() + static_cast<std::ptrdiff_t>(from), letters.end(),
                               [&](const BertLetter& l) { return table[l.code] & accent; }),
                letters.end());
}

const unicode::LowerCase& lower_of(std::uint32_t code) {
  const auto* end = unicode::bert_lower + unicode::bert_lower_count;
  return *std::lower_bound(unicode::bert_lower, end, code, [](const unicode::LowerCase& row, std::uint32_t c) { return row.code < c; });
}

void make_small(std::vector<BertLetter>& letters, std::size_t from) {
  const std::uint8_t* table = kinds();
  std::vector<BertLetter> small;  // only where a letter becomes two
  bool longer = false;
  for (std::size_t i = from; i < letters.size(); ++i) {
    BertLetter letter = letters[i];
    std::uint32_t second = 0;
    if (table[letter.code] & capital) {
      const unicode::LowerCase& row = lower_of(letter.code);
      letter.code = row.first, second = row.second;
    }
    if (second != 0 && !longer) {
      longer = true;
      small.assign(letters.begin() + static_cast<std::ptrdiff_t>(from), letters.begin() + static_cast<std::ptrdiff_t>(i));
    }
    if (longer)
      small.push_back(letter);
    else
      letters[i] = letter;
    if (second != 0) small.push_back({second, letter.place});
  }
  if (!longer) return;
  letters.resize(from);
  letters.insert(letters.end(), small.begin(), small.end());
}

}  // namespace

std::uint32_t bert_normalise(const BertRules& rules, std::string_view text, std::uint32_t first_place, std::vector<BertLetter>& letters) {
  const std::uint8_t* table = kinds();
  const std::size_t from = letters.size();
  std::uint32_t place = first_place;
  for (const char *at = text.data(), *end = at + text.size(); at < end; ++place) {
    const auto c = utf8::decode(at, end);
    at += c.bytes;
    const std::uint8_t kind = table[c.code];
    if (kind & dropped) continue;
    if (kind & blank) {
      letters.push_back({' ', place});
    } else if ((kind & chinese) && rules.chinese) {
      letters.insert(letters.end(), {{' ', place}, {c.code, place}, {' ', place}});
    } else {
      letters.push_back({c.code, place});
    }
  }
  if (rules.strip_accents) decompose_and_strip(letters, from);
  if (rules.lowercase) make_small(letters, from);
  return place - first_place;
}

std::size_t bert_word_end(const std::vector<BertLetter>& letters, std::size_t at) {
  const std::uint8_t* table = kinds();
  if (at < letters.size() && (table[letters[at].code] & punctuation)) return at + 1;
  while (at < letters.size() && letters[at].code != ' ' && !(table[letters[at].code] & punctuation)) ++at;
  return at;
}

}  // namespace strata
