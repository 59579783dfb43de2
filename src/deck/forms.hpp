#pragma once
// Forms: what the value of a key looks like. Each reads items into a field, prints a field so that it reads back, and describes itself.
#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "deck/scan.hpp"

namespace strata::deck {

/// What every form has. parse(items, field) returns "" or "expected ..., found ..." and then leaves the field alone; print(field) gives
/// text that parses to the same value.
struct Description {
  std::string type;                      // "whole number", "text", ...
  std::string allowed;                   // range or words, for people; may be empty
  std::vector<std::string> choices;      // words that are taken
  std::vector<std::string> unavailable;  // words that are known, but not in this version
  bool one_text = false;                 // a single free text
};

/// true or false; also on, off, yes, no, in any case.
class Flag {
 public:
  std::string parse(const Items& items, bool& out) const;
  std::string print(bool value) const { return value ? "true" : "false"; }
  Description describe() const { return {"true or false", "", {}, {}, false}; }
};

/// A whole number of at least 0, with k M G (powers of ten) or Ki Mi Gi (powers of two) behind it, or a word that stands for one value.
class Whole {
 public:
  static Whole at_least(std::uint64_t low) { return Whole(low, std::numeric_limits<std::uint64_t>::max()); }
  static Whole between(std::uint64_t low, std::uint64_t high) { return Whole(low, high); }
  /// `word` reads as `value` and is printed for it; the value need not be in the range.
  Whole word(std::string name, std::int64_t value) const;

  template <class T>
  std::string parse(const Items& items, T& out) const {
    if (is_word(items)) return out = static_cast<T>(word_value_), "";
    std::uint64_t value = 0;
    const auto complaint = read(items, static_cast<std::uint64_t>(std::numeric_limits<T>::max()), value);
    if (complaint.empty()) out = static_cast<T>(value);
    return complaint;
  }
  template <class T>
  std::string print(T value) const {
    return !word_.empty() && value == static_cast<T>(word_value_) ? word_ : std::to_string(value);
  }
  Description describe() const;

 private:
  Whole(std::uint64_t low, std::uint64_t high) : low_(low), high_(high) {}
  bool is_word(const Items& items) const;
  std::string read(const Items& items, std::uint64_t type_limit, std::uint64_t& value) const;
  std::string range() const;

  std::uint64_t low_, high_;
  std::string word_;
  std::int64_t word_value_ = 0;
};

/// A finite number in a range, or a word that stands for one value.
class Real {
 public:
  static Real at_least(double low) { return Real(low, false, std::numeric_limits<double>::infinity(), false); }
  static Real above(double low) { return Real(low, true, std::numeric_limits<double>::infinity(), false); }
  static Real between(double low, double high) { return Real(low, false, high, false); }
  static Real from_up_to_below(double low, double high) { return Real(low, false, high, true); }
  static Real above_up_to(double low, double high) { return Real(low, true, high, false); }
  Real word(std::string name, double value) const;
  /// Only 1, 2, 4, .. and 0.5, 0.25, ..
  Real power_of_two() const;

  std::string parse(const Items& items, double& out) const;
  std::string print(double value) const;
  Description describe() const;
  /// Whether the value is in the range.
  bool holds(double value) const;
  std::string range() const;

 private:
  Real(double low, bool low_open, double high, bool high_open) : low_(low), high_(high), low_open_(low_open), high_open_(high_open) {}
  double low_, high_;
  bool low_open_, high_open_, power_of_two_ = false;
  std::string word_;
  double word_value_ = 0;
};

/// A time in seconds, above 0; `s m h d` behind the number, seconds without.
class Seconds {
 public:
  explicit Seconds(bool or_none = false) : or_none_(or_none) {}
  /// 0 too, which stands for none.
  static Seconds or_none() { return Seconds(true); }
  std::string parse(const Items& items, double& out) const;
  std::string print(double value) const;
  Description describe() const { return {"time", or_none_ ? "at least 0; s m h d" : "above 0; s m h d", {}, {}, false}; }

 private:
  bool or_none_;
};

/// One text. May be empty, unless told otherwise.
class Text {
 public:
  Text() = default;
  /// Only texts that `holds` says yes to; `allowed` tells people which.
  Text(std::string allowed, std::function<bool(const std::string&)> holds) : allowed_(std::move(allowed)), holds_(std::move(holds)) {}
  /// A text that may not be empty.
  static Text some() {
    return Text("not empty", [](const std::string& value) { return !value.empty(); });
  }

  std::string parse(const Items& items, std::string& out) const;
  std::string print(const std::string& value) const { return quoted_if_needed(value); }
  Description describe() const { return {"text", allowed_, {}, {}, true}; }

 private:
  std::string allowed_;
  std::function<bool(const std::string&)> holds_;
};

/// Texts between commas; nothing: none of them.
class Texts {
 public:
  std::string parse(const Items& items, std::vector<std::string>& out) const;
  std::string print(const std::vector<std::string>& value) const;
  Description describe() const { return {"list of texts", "", {}, {}, false}; }
};

/// Words that are taken, words that are known but not in this version, and other names of words.
struct Words {
  std::vector<std::string> available;
  std::vector<std::string> unavailable = {};
  std::vector<std::pair<std::string, std::string>> synonyms = {};  // other name, word

  /// Puts the word meant into `out`, or says what is wrong ("= word: not in this version ..." for a known one).
  std::string read(const std::string& given, std::string& out) const;
};

/// One word of several.
class Choice {
 public:
  explicit Choice(Words words) : words_(std::move(words)) {}
  std::string parse(const Items& items, std::string& out) const;
  std::string print(const std::string& value) const { return quoted_if_needed(value); }
  Description describe() const;

 private:
  Words words_;
};

/// `none`, or a list of words.
class Choices {
 public:
  explicit Choices(Words words) : words_(std::move(words)) {}
  std::string parse(const Items& items, std::vector<std::string>& out) const;
  std::string print(const std::vector<std::string>& value) const;
  Description describe() const;

 private:
  Words words_;
};

/// `4`, or `0:8, 5:4, 10:2` (from epoch 0 on 8, from epoch 5 on 4, ...), or `none`.
class ByEpoch {
 public:
  using Value = std::vector<std::pair<std::int64_t, std::int64_t>>;
  std::string parse(const Items& items, Value& out) const;
  std::string print(const Value& value) const;
  Description describe() const {
    return {"whole number, or list of epoch:number", "numbers of at least 1, epochs rising; none", {}, {}, false};
  }
};

/// The message for a value of another form: `expected <expected>, found <items>`.
std::string expected_found(const std::string& expected, const Items& items);

}  // namespace strata::deck
