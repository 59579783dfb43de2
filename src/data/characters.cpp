// Characters by number.
#include "strata/data/characters.hpp"

#include <algorithm>

#include "strata/base/error.hpp"

namespace strata {
namespace {

std::size_t length_at(std::string_view text, std::size_t at) {
  std::size_t end = at + 1;
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
  return end - at;
}

std::uint32_t code_at(std::string_view text, std::size_t at, std::size_t bytes) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[at + i])); };
  if (bytes == 1) return byte(0);
  std::uint32_t code = byte(0) & (0xffu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) code = code << 6 | (byte(i) & 0x3f);
  return code;
}

}  // namespace

Characters::Characters(std::string_view text) : text_(text) {
  if (text.size() > UINT32_MAX) throw DataError(strata::text("a text of ", text.size(), " bytes is too long: at most 4 GiB are read"));
  for (std::size_t at = 0; at < text.size(); at += length_at(text, at)) starts_.push_back(static_cast<std::uint32_t>(at));
  starts_.push_back(static_cast<std::uint32_t>(text.size()));
}

std::string_view Characters::between(std::int64_t first, std::int64_t end) const {
  const std::int64_t from = std::clamp<std::int64_t>(first, 0, size()), to = std::clamp<std::int64_t>(end, 0, size());
  if (to <= from) return {};
  const std::uint32_t begin = starts_[static_cast<std::size_t>(from)];
  return text_.substr(begin, starts_[static_cast<std::size_t>(to)] - begin);
}

std::int64_t Characters::number_at(std::size_t byte) const {
  return std::lower_bound(starts_.begin(), starts_.end(), byte) - starts_.begin();
}

bool is_python_space(std::uint32_t code) {
  if (code < 0x80) return (code >= 9 && code <= 13) || (code >= 28 && code <= 32);
  return code == 0x85 || code == 0xa0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 ||
         code == 0x202f || code == 0x205f || code == 0x3000;
}

std::string_view without_leading_blanks(std::string_view text) {
  while (!text.empty()) {
    const std::size_t bytes = length_at(text, 0);
    if (bytes > 4 || !is_python_space(code_at(text, 0, bytes))) break;
    text.remove_prefix(bytes);
  }
  return text;
}

}  // namespace strata
