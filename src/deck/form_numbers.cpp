// Numbers: whole ones with size suffixes, real ones, times, and factors by epoch. Independent of the locale.
#include <charconv>
#include <cmath>
#include <optional>
#include <system_error>

#include "deck/forms.hpp"
#include "deck/text_tools.hpp"

namespace strata::deck {
namespace {

/// Shortest text that reads back as the same value.
std::string shortest(double value) {
  char buffer[64];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, value).ptr;
  return std::string(buffer, end);
}

enum class Reading { fine, not_whole, too_large };

std::optional<std::uint64_t> factor_of(std::string_view suffix) {
  constexpr std::pair<std::string_view, std::uint64_t> factors[] = {{"", 1},          {"k", 1000},      {"M", 1000000},  {"G", 1000000000},
                                                                    {"Ki", 1u << 10}, {"Mi", 1u << 20}, {"Gi", 1u << 30}};
  for (const auto& [name, factor] : factors) {
    if (name == suffix) return factor;
  }
  return std::nullopt;
}

/// Digits and a size suffix; nothing else, so neither 12.5 nor 5e4 nor 1_000.
Reading read_whole(std::string_view text, std::uint64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument) return Reading::not_whole;
  const auto factor = factor_of(text.substr(static_cast<std::size_t>(end - text.data())));
  if (!factor) return Reading::not_whole;
  if (error == std::errc::result_out_of_range || value > std::numeric_limits<std::uint64_t>::max() / *factor) return Reading::too_large;
  value *= *factor;
  return Reading::fine;
}

/// A finite number that fills the whole text.
std::optional<double> read_real(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

std::string expected_found(const std::string& expected, const Items& items) {
  std::string found;
  for (const auto& item : items) found += (found.empty() ? "" : ", ") + (item.text.empty() ? "\"\"" : printable(item.text));
  return "expected " + expected + ", found " + (items.empty() ? "nothing" : found);
}

Whole Whole::word(std::string name, std::int64_t value) const {
  Whole other = *this;
  other.word_ = std::move(name);
  other.word_value_ = value;
  return other;
}

bool Whole::is_word(const Items& items) const {
  return !word_.empty() && items.size() == 1 && items[0].text == word_;
}

std::string Whole::range() const {
  std::string range = high_ == std::numeric_limits<std::uint64_t>::max() ? "at least " + std::to_string(low_)
                                                                         : std::to_string(low_) + " to " + std::to_string(high_);
  return word_.empty() ? range : range + ", or " + word_;
}

std::string Whole::read(const Items& items, std::uint64_t type_limit, std::uint64_t& value) const {
  const std::string expected = "a whole number, " + range();
  if (items.size() != 1) return expected_found(expected, items);
  switch (read_whole(items[0].text, value)) {
    case Reading::not_whole:
      return expected_found(expected + " (sizes may end in k M G Ki Mi Gi)", items);
    case Reading::too_large:
      return expected_found(expected, items) + ", which is too large";
    case Reading::fine:
      break;
  }
  if (value > type_limit) return expected_found(expected, items) + ", which is too large";
  return value < low_ || value > high_ ? expected_found(expected, items) : "";
}

Description Whole::describe() const {
  return {"whole number", range(), {}, {}, false};
}

Real Real::word(std::string name, double value) const {
  Real other = *this;
  other.word_ = std::move(name);
  other.word_value_ = value;
  return other;
}

Real Real::power_of_two() const {
  Real other = *this;
  other.power_of_two_ = true;
  return other;
}

bool Real::holds(double value) const {
  int exponent = 0;
  if (power_of_two_ && std::frexp(value, &exponent) != 0.5) return false;
  return (low_open_ ? value > low_ : value >= low_) && (high_open_ ? value < high_ : value <= high_);
}

std::string Real::range() const {
  std::string range = (power_of_two_ ? "a power of two, " : "") + std::string(low_open_ ? "above " : "at least ") + shortest(low_);
  if (std::isfinite(high_)) range += (high_open_ ? " and below " : " and at most ") + shortest(high_);
  return word_.empty() ? range : range + ", or " + word_;
}

std::string Real::parse(const Items& items, double& out) const {
  if (items.size() == 1 && !word_.empty() && items[0].text == word_) return out = word_value_, "";
  const auto value = items.size() == 1 ? read_real(items[0].text) : std::nullopt;
  if (!value || !holds(*value)) {
    return expected_found("a number, " + range(), items) + (items.size() == 2 ? "; decimals stand behind a point, not a comma" : "");
  }
  out = *value;
  return "";
}

std::string Real::print(double value) const {
  return !word_.empty() && value == word_value_ ? word_ : shortest(value);
}

Description Real::describe() const {
  return {"number", range(), {}, {}, false};
}

std::string Seconds::parse(const Items& items, double& out) const {
  const std::string expected = std::string("a time ") + (or_none_ ? "of at least 0" : "above 0") + ", as in 90, 90s, 10m, 2h or 1d";
  if (items.size() != 1 || items[0].text.empty()) return expected_found(expected, items);
  std::string_view number = items[0].text;
  constexpr std::pair<char, double> units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
  double factor = 1;
  for (const auto& [name, seconds] : units) {
    if (number.back() == name) factor = seconds;
  }
  const bool has_unit = number.back() >= 'a' && number.back() <= 'z';
  const auto value = read_real(number.substr(0, number.size() - (has_unit ? 1 : 0)));
  if (!value || !(*value > 0 || (or_none_ && *value == 0)) || !std::isfinite(*value * factor) ||
      (has_unit && factor == 1 && number.back() != 's')) {
    return expected_found(expected, items);
  }
  out = *value * factor;
  return "";
}

std::string Seconds::print(double value) const {
  return shortest(value) + "s";
}

std::string ByEpoch::parse(const Items& items, Value& out) const {
  const std::string expected = "a factor of at least 1, or epoch:factor, ... with rising epochs, as in 0:8, 5:4, 10:2";
  if (items.size() == 1 && items[0].text == "none") return out.clear(), "";
  Value read;
  for (const auto& item : items) {
    const std::string_view text = item.text;
    const auto colon = text.find(':');
    if (colon == std::string_view::npos && items.size() > 1) return expected_found(expected, items);
    std::uint64_t epoch = 0, factor = 0;
    const bool fine = (colon == std::string_view::npos || read_whole(text.substr(0, colon), epoch) == Reading::fine) &&
                      read_whole(text.substr(colon == std::string_view::npos ? 0 : colon + 1), factor) == Reading::fine;
    constexpr std::uint64_t limit = 1u << 30;
    const bool rising = read.empty() || static_cast<std::int64_t>(std::min(epoch, limit)) > read.back().first;
    if (!fine || factor < 1 || factor > limit || epoch > limit || !rising) return expected_found(expected, items);
    read.emplace_back(static_cast<std::int64_t>(epoch), static_cast<std::int64_t>(factor));
  }
  if (read.empty()) return expected_found(expected, items);
  out = std::move(read);
  return "";
}

std::string ByEpoch::print(const Value& value) const {
  if (value.empty()) return "none";
  if (value.size() == 1 && value[0].first == 0) return std::to_string(value[0].second);
  std::vector<std::string> items;
  for (const auto& [epoch, factor] : value) items.push_back(std::to_string(epoch) + ":" + std::to_string(factor));
  return joined(items, ", ");
}

}  // namespace strata::deck
