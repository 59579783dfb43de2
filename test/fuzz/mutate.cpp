// Mutations of an input.
#include "fuzz/mutate.hpp"

#include <algorithm>
#include <array>

namespace strata::fuzz {
namespace {

constexpr std::size_t largest = std::size_t{1} << 20;  // [bytes] of a mutant that grows

/// SplitMix64.
class Dice {
 public:
  explicit Dice(std::uint64_t state) : state_(state) {}
  std::uint64_t bits() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(bits() % n); }
  bool one_in(std::size_t n) { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

constexpr std::array<std::uint64_t, 20> extremes{0,
                                                 1,
                                                 2,
                                                 7,
                                                 8,
                                                 0x7f,
                                                 0x80,
                                                 0xff,
                                                 0x100,
                                                 0x7fff,
                                                 0xffff,
                                                 0x10000,
                                                 0x7fffffff,
                                                 0x80000000,
                                                 0xffffffff,
                                                 0x100000000,
                                                 std::uint64_t{1} << 50,
                                                 0x7fffffffffffffff,
                                                 0x8000000000000000,
                                                 0xffffffffffffffff};

/// One mutation after another on the same bytes.
class Mutation {
 public:
  Mutation(std::string& bytes, const Corpus& corpus, Dice& dice) : b_(bytes), corpus_(corpus), dice_(dice) {}

  void apply() {
    switch (dice_.below(13)) {
      case 0:
      case 1:
      case 2:
        return flip();
      case 3:
        return set();
      case 4:
      case 5:
        return integer();
      case 6:
        return remove();
      case 7:
        return repeat();
      case 8:
        return splice();
      case 9:
        return fill();
      case 10:
        return word();
      case 11:
        return digits();
      default:
        if (dice_.one_in(3)) b_.resize(dice_.below(b_.size() + 1));
    }
  }

 private:
  std::size_t place() { return dice_.below(b_.size()); }
  /// Mostly short.
  std::size_t length() { return 1 + dice_.below(std::size_t{1} << dice_.below(12)); }

  void flip() {
    if (!b_.empty()) b_[place()] ^= static_cast<char>(1 << dice_.below(8));
  }
  void set() {
    if (!b_.empty()) b_[place()] = static_cast<char>(dice_.bits());
  }
  void integer() {
    const std::size_t width = std::size_t{1} << dice_.below(4), at = place();
    const std::uint64_t value = extremes[dice_.below(extremes.size())] + (dice_.one_in(4) ? dice_.below(5) - 2 : 0);
    const bool big_endian = dice_.one_in(8);
    for (std::size_t i = 0; i < width && at + i < b_.size(); ++i)
      b_[at + i] = static_cast<char>(value >> (8 * (big_endian ? width - 1 - i : i)));
  }
  void remove() { b_.erase(place(), length()); }
  void repeat() {
    if (b_.size() > largest) return;
    const std::string part = b_.substr(place(), length());
    const std::size_t times = dice_.one_in(4) ? 1 + dice_.below(200) : 1, at = place();
    std::string many;
    for (std::size_t i = 0; i < times; ++i) many += part;
    b_.insert(at, many);
  }
  void splice() {
    const std::string& other = corpus_.seeds[dice_.below(corpus_.seeds.size())];
    const std::string part = other.substr(dice_.below(other.size()), length());
    if (dice_.one_in(2))
      b_.replace(place(), part.size(), part);
    else if (b_.size() < largest)
      b_.insert(place(), part);
  }
  void fill() {
    constexpr std::array<char, 4> values{0, static_cast<char>(0xff), ' ', '['};
    const std::size_t at = place(), n = std::min(length(), b_.size() - at);
    std::fill_n(b_.begin() + static_cast<std::ptrdiff_t>(at), n, values[dice_.below(values.size())]);
  }
  void word() {
    if (corpus_.words.empty() || b_.size() > largest) return;
    const std::string& chosen = corpus_.words[dice_.below(corpus_.words.size())];
    if (dice_.one_in(2))
      b_.insert(place(), chosen);
    else
      b_.replace(place(), chosen.size(), chosen);
  }
  /// Another number where one stands in the text.
  void digits() {
    constexpr std::array<const char*, 10> numbers{
        "0", "-1", "1", "2147483648", "9223372036854775807", "18446744073709551616", "1e999", "1.5", "1125899906842624", "00"};
    const std::size_t at = b_.find_first_of("0123456789", place());
    if (at == std::string::npos) return;
    const std::size_t end = std::min(b_.find_first_not_of("0123456789", at), b_.size());
    b_.replace(at, end - at, numbers[dice_.below(numbers.size())]);
  }

  std::string& b_;
  const Corpus& corpus_;
  Dice& dice_;
};

}  // namespace

std::string mutant(const Corpus& corpus, std::uint64_t seed, std::uint64_t number) {
  Dice dice(seed * 0x100000001b3u + number);
  const std::size_t chosen = dice.below(corpus.seeds.size());
  std::string bytes = corpus.seeds[chosen];
  for (std::size_t i = 1 + dice.below(std::size_t{1} << dice.below(4)); i > 0; --i) Mutation(bytes, corpus, dice).apply();
  if (corpus.repair && dice.one_in(2)) corpus.repair(bytes, chosen);
  return bytes;
}

}  // namespace strata::fuzz
