#pragma once
// How BERT cleans a text and splits it into words, each letter knowing the character it comes from.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

/// Switches of BERT's normalisation, as tokenizer.json and tokenizer_config.json name them.
struct BertRules {
  bool lowercase = true;
  bool strip_accents = true;
  bool chinese = true;  // blanks around each Chinese character
};

/// A letter of the normalised text and the number, in the given text, of the character it comes from.
struct BertLetter {
  std::uint32_t code;
  std::uint32_t place;
};

/// Normalises `text`, whose first character has number `first_place`, appending to `letters`: control characters go, everything blank
/// becomes one space, Chinese characters stand alone; accents are taken off (canonical decomposition, marks dropped) and letters made
/// small where the rules say so. Bytes that are not UTF-8 stay, each a letter of its own. Returns the number of characters read.
std::uint32_t bert_normalise(const BertRules& rules, std::string_view text, std::uint32_t first_place, std::vector<BertLetter>& letters);

/// End of the word that begins at `at`: one character of punctuation, or all letters up to the next blank or punctuation. at == end: end.
/// Blanks before a word are the caller's to skip.
std::size_t bert_word_end(const std::vector<BertLetter>& letters, std::size_t at);

}  // namespace strata
