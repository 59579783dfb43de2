#pragma once
// Characters of a text by number: what SQuAD and tokenizers count in, which is neither bytes nor UTF-16 units.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace strata {

/// Where each character (code point) of well-formed UTF-8 begins. Keeps a view of the text, which must outlive it.
class Characters {
 public:
  explicit Characters(std::string_view text);
  std::int64_t size() const { return static_cast<std::int64_t>(starts_.size()) - 1; }
  /// The characters [first, end) of the text; places beyond its end stand for its end, and end < first gives nothing, as in Python's
  /// slices.
  std::string_view between(std::int64_t first, std::int64_t end) const;
  /// The number of the character that begins at this byte.
  std::int64_t number_at(std::size_t byte) const;

 private:
  std::string_view text_;
  std::vector<std::uint32_t> starts_;  // [bytes], and the text's length behind the last
};

/// Whether Python's str.strip and str.split take the code point for a blank.
bool is_python_space(std::uint32_t code);
/// The text without blanks at its beginning, as Python's lstrip leaves it.
std::string_view without_leading_blanks(std::string_view text);

}  // namespace strata
