#pragma once
// The generated Unicode tables, as they lie in the program; unicode.hpp is what the room asks.
#include <cstddef>
#include <cstdint>

namespace strata::unicode {

/// Code points first to last, both included.
struct CodeRange {
  std::uint32_t first, last;
};
struct ClassRange {
  std::uint32_t first, last;
  std::uint8_t combining_class;
};
/// composite = first + second; second is 0 where one code point stands for another.
struct CanonicalPair {
  std::uint32_t composite, first, second;
};
/// Lower case of a code point: one, or two (second is 0 otherwise).
struct LowerCase {
  std::uint32_t code, first, second;
};

extern const CodeRange letters[];
extern const std::size_t letters_count;
extern const CodeRange numbers[];
extern const std::size_t numbers_count;
extern const CodeRange spaces[];
extern const std::size_t spaces_count;
extern const ClassRange combining_classes[];
extern const std::size_t combining_classes_count;
extern const CanonicalPair composing[];
extern const std::size_t composing_count;
extern const CanonicalPair decomposing[];
extern const std::size_t decomposing_count;

extern const CodeRange bert_dropped[];
extern const std::size_t bert_dropped_count;
extern const CodeRange bert_spaces[];
extern const std::size_t bert_spaces_count;
extern const CodeRange bert_cjk[];
extern const std::size_t bert_cjk_count;
extern const CodeRange bert_accents[];
extern const std::size_t bert_accents_count;
extern const CodeRange bert_punctuation[];
extern const std::size_t bert_punctuation_count;
extern const CodeRange cased[];
extern const std::size_t cased_count;
extern const CodeRange case_ignorable[];
extern const std::size_t case_ignorable_count;
extern const LowerCase bert_lower[];
extern const std::size_t bert_lower_count;

}  // namespace strata::unicode
