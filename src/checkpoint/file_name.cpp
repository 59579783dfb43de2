// Names of checkpoint files from a pattern with fields.
#include <array>
#include <charconv>
#include <cmath>
#include <regex>

#include "strata/base/error.hpp"
#include "strata/checkpoint/catalogue.hpp"

namespace strata {
namespace {

[[noreturn]] void refuse(const std::string& pattern, const std::string& why) {
  throw DeckError(
      text("checkpoint.name = ", pattern, ": ", why, "; expected a file name with fields such as {step:06d}, {epoch} or {loss:.4f}"));
}

/// Decimal text of a number, the same in every locale.
std::string number_text(double value, int decimals) {
  std::array<char, 400> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, decimals).ptr;
  return {buffer.data(), end};
}

std::string padded(std::string digits, std::size_t width, char fill) {
  return digits.size() < width ? std::string(width - digits.size(), fill) + digits : digits;
}

/// One field, what stands between the braces: name, and after a colon [0][width][.decimals][d|f].
std::string field_text(const std::string& field, const std::string& pattern, std::int64_t step, double epoch, double loss) {
  static const std::regex form("(step|epoch|loss)(?::(0?)([0-9]{0,2})(?:\\.([0-9]{1,2}))?([df]?))?");
  std::smatch match;
  if (!std::regex_match(field, match, form)) refuse(pattern, "{" + field + "} is not a field");
  const std::string name = match[1], kind = match[5];
  const bool decimals_given = match[4].matched && match[4].length() > 0;
  const bool whole = name == "step" || kind == "d" || (name == "epoch" && !decimals_given && kind != "f");
  if (whole && (decimals_given || kind == "f")) refuse(pattern, "{" + field + "} asks for decimals of a whole number");
  const int decimals = decimals_given ? std::stoi(match[4]) : name == "loss" ? 4 : 6;
  const double real = name == "epoch" ? epoch : loss;
  std::string digits = name == "step" ? std::to_string(step) : whole ? number_text(std::floor(real), 0) : number_text(real, decimals);
  const std::size_t width = match[3].length() > 0 ? std::stoul(match[3]) : 0;
  return padded(std::move(digits), width, match[2].length() > 0 ? '0' : ' ');
}

}  // namespace

std::string checkpoint_file_name(const std::string& pattern, std::int64_t step, double epoch, double loss) {
  std::string name;
  for (std::size_t at = 0; at < pattern.size();) {
    if (pattern[at] == '}') refuse(pattern, "a '}' without '{'");
    if (pattern[at] != '{') {
      name += pattern[at++];
      continue;
    }
    const std::size_t end = pattern.find('}', at);
    if (end == std::string::npos) refuse(pattern, "a '{' without '}'");
    name += field_text(pattern.substr(at + 1, end - at - 1), pattern, step, epoch, loss);
    at = end + 1;
  }
  if (name.empty() || name.front() == '.') refuse(pattern, "a name may not be empty or start with a dot");
  if (name.size() > 200) refuse(pattern, "a name may have 200 bytes at most");
  for (const char c : name)
    if (c == '/' || c == '\\' || static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      refuse(pattern, "a name may not hold slashes or control characters");
  return name.ends_with(".h5") ? name : name + ".h5";
}

}  // namespace strata
