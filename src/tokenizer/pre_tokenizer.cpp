// The split patterns of GPT-2, Qwen2 and Llama 3. Alternatives are tried in the pattern's order; the first that matches wins.
#include "tokenizer/pre_tokenizer.hpp"

#include "tokenizer/unicode.hpp"

namespace strata {
namespace {
using unicode::letter;
using unicode::number;
using unicode::other;
using unicode::space;

constexpr std::string_view qwen2_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view llama3_pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view gpt2_pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

constexpr bool is_line_end(char c) {
  return c == '\r' || c == '\n';
}

/// One text with the property table at hand.
class Scanner {
 public:
  Scanner(const char* begin, const char* end) : begin_(begin), end_(end), table_(unicode::properties()) {}

  const char* gpt2() const;
  const char* modern(int digits) const;

 private:
  struct Seen {
    std::uint8_t kind;
    std::uint32_t bytes;
  };
  Seen look(const char* at) const {
    const auto c = utf8::decode(at, end_);
    return {static_cast<std::uint8_t>(table_[c.code] & unicode::class_mask), c.bytes};
  }
  bool is(const char* at, std::uint8_t kind) const { return at < end_ && look(at).kind == kind; }
  /// End of the run of characters of one kind; `most` of them.
  const char* run(const char* at, std::uint8_t kind, int most = -1) const {
    for (; at < end_ && most != 0; --most) {
      const Seen c = look(at);
      if (c.kind != kind) break;
      at += c.bytes;
    }
    return at;
  }
  const char* contraction(bool any_case) const;
  const char* blanks(const char* stop) const;

  const char *begin_, *end_;
  const std::uint8_t* table_;
};

/// 's 't 're 've 'm 'll 'd behind an apostrophe at begin_; null if there is none. Without regard to case, U+017F counts as an s.
const char* Scanner::contraction(bool any_case) const {
  const auto at = [&](int i) { return end_ - begin_ > i ? static_cast<unsigned char>(begin_[i]) : 0u; };
  const auto lower = [&](unsigned c) { return any_case && c >= 'A' && c <= 'Z' ? c + 32u : c; };
  const unsigned first = lower(at(1)), second = lower(at(2));
  switch (first) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return begin_ + 2;
    case 'r':
    case 'v':
      return second == 'e' ? begin_ + 3 : nullptr;
    case 'l':
      return second == 'l' ? begin_ + 3 : nullptr;
    case 0xc5:
      return any_case && at(2) == 0xbf ? begin_ + 3 : nullptr;
    default:
      return nullptr;
  }
}

/// \s+(?!\S)|\s+ for a run of blanks that ends at `stop`: the last blank is left to the word behind it, unless the run is one blank long.
const char* Scanner::blanks(const char* stop) const {
  if (stop == end_) return stop;
  const char* last = stop - 1;
  while ((static_cast<unsigned char>(*last) & 0xc0) == 0x80) --last;  // blanks are well-formed UTF-8
  return last == begin_ ? stop : last;
}

const char* Scanner::gpt2() const {
  if (*begin_ == '\'')
    if (const char* found = contraction(false)) return found;
  const char* body = *begin_ == ' ' && end_ - begin_ > 1 ? begin_ + 1 : begin_;
  const Seen first = look(body);
  if (first.kind != space) return run(body + first.bytes, first.kind);
  return blanks(run(begin_, space));
}

const char* Scanner::modern(int digits) const {
  if (*begin_ == '\'')
    if (const char* found = contraction(true)) return found;
  const Seen first = look(begin_);
  const char* second = begin_ + first.bytes;
  if (first.kind == letter) return run(second, letter);
  if (first.kind == number) return run(second, number, digits - 1);
  if (!is_line_end(*begin_) && is(second, letter)) return run(second, letter);  // [^\r\n\p{L}\p{N}]?\p{L}+
  if (first.kind == other || (*begin_ == ' ' && is(second, other))) {           // ' '?[^\s\p{L}\p{N}]+[\r\n]*
    const char* stop = run(second, other);
    while (stop < end_ && is_line_end(*stop)) ++stop;
    return stop;
  }
  const char* stop = run(second, space);
  for (const char* at = stop; at > begin_; --at)  // \s*[\r\n]+ : up to the run's last line end
    if (is_line_end(at[-1])) return at;
  return blanks(stop);
}

}  // namespace

const char* name_of(SplitRule rule) {
  switch (rule) {
    case SplitRule::gpt2:
      return "gpt2";
    case SplitRule::qwen2:
      return "qwen2";
    case SplitRule::llama3:
      return "llama3";
  }
  return "";
}

std::optional<SplitRule> split_rule_of(std::string_view pattern) {
  if (pattern == qwen2_pattern) return SplitRule::qwen2;
  if (pattern == llama3_pattern) return SplitRule::llama3;
  if (pattern == gpt2_pattern) return SplitRule::gpt2;
  return std::nullopt;
}

const char* end_of_word(SplitRule rule, const char* at, const char* end) {
  const Scanner scanner(at, end);
  switch (rule) {
    case SplitRule::gpt2:
      return scanner.gpt2();
    case SplitRule::qwen2:
      return scanner.modern(1);
    case SplitRule::llama3:
      return scanner.modern(3);
  }
  return end;
}

}  // namespace strata
