#pragma once
// Cuts text into the words that byte-level BPE works on: the known split patterns, written out as scanners.
#include <optional>
#include <string>
#include <string_view>

namespace strata {

enum class SplitRule {
  gpt2,    // the ByteLevel pre-tokeniser with use_regex
  qwen2,   // Qwen2, Qwen2.5, Qwen3: digits one by one, line ends together
  llama3,  // as qwen2, but up to three digits together
};

const char* name_of(SplitRule rule);

/// The rule of a Split pattern as tokenizer.json spells it; empty for a pattern that is not known here. (Regular-expression libraries
/// follow other versions of Unicode than the reference, so patterns are recognised, not run.)
std::optional<SplitRule> split_rule_of(std::string_view pattern);

/// End of the word that starts at `at` (< end); the words of a text lie end to end. A byte that is not UTF-8 counts as a character that is
/// neither letter, number nor space.
const char* end_of_word(SplitRule rule, const char* at, const char* end);

}  // namespace strata
