#pragma once
// Factors of dropout, a row at a time: Philox 4x32-10, the same numbers as random_bits() gives one by one.
#include <algorithm>
#include <cmath>
#include <cstdint>

#include "strata/ops/dropout.hpp"
#include "strata/tensor/random.hpp"

namespace strata::cpu {

/// The factors of one head's rows, for one sample.
template <class Sum>
class DropoutFactors {
 public:
  /// Factors come in groups of this many columns; a stretch begins at a multiple of it.
  static constexpr std::int64_t group = 128;

  DropoutFactors() = default;
  DropoutFactors(const Dropout& what, std::int64_t b, std::int64_t head)
      : seed_(what.seed),
        sample_(static_cast<std::uint32_t>(what.samples.as<const std::int32_t>()[b * what.samples.stride(0)])),
        step_(what.step),
        place_(what.site * 4096 + static_cast<std::uint32_t>(head)),
        threshold_(static_cast<std::uint32_t>(std::min(65535L, std::lround(what.p * 65536)))),
        keep_(static_cast<Sum>(65536.0 / (65536.0 - static_cast<double>(threshold_)))) {}

  /// factors[j] of columns first + j of row i, 0 <= j < count, and up to the next multiple of `group`; first a multiple of `group`.
  void row(std::int64_t i, std::int64_t first, std::int64_t count, Sum* factors) const {
    for (std::int64_t j = 0; j < count; j += piece)
      fill(static_cast<std::uint32_t>(i << 16 | (first + j) / 8), static_cast<int>(std::min(piece, count - j) + group - 1) / 8 / lanes,
           factors + j);
  }
  /// The factor of what is not dropped.
  Sum kept() const { return keep_; }

 private:
  static constexpr int lanes = 16;
  static constexpr std::int64_t piece = 512;  // columns whose words exist at once

  // Words of the counters from `first` on, each in a loop over counters with all rounds inside, which the compiler turns into vectors.
  // Element h * 16 + l of a group is half-word h of its counter l: word h / 2, lower half first.
  void fill(std::uint32_t first, int groups, Sum* factors) const {
    std::uint32_t words[4][piece / 8];
    const std::uint32_t sample = sample_, step = step_, place = place_, key0 = static_cast<std::uint32_t>(seed_),
                        key1 = static_cast<std::uint32_t>(seed_ >> 32) ^ (static_cast<std::uint32_t>(RandomPurpose::dropout) * 0x9E3779B9u);
    for (int n = 0; n < groups * lanes; ++n) {
      std::uint32_t x0 = sample, x1 = step, x2 = first + static_cast<std::uint32_t>(n), x3 = place, k0 = key0, k1 = key1;
#pragma GCC unroll 10
      for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t{x0} * 0xD2511F53u, b = std::uint64_t{x2} * 0xCD9E8D57u;
        x0 = static_cast<std::uint32_t>(b >> 32) ^ x1 ^ k0, x1 = static_cast<std::uint32_t>(b);
        x2 = static_cast<std::uint32_t>(a >> 32) ^ x3 ^ k1, x3 = static_cast<std::uint32_t>(a);
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
      }
      words[0][n] = x0, words[1][n] = x1, words[2][n] = x2, words[3][n] = x3;
    }
    for (int g = 0; g < groups; ++g)
      for (int w = 0; w < 4; ++w) halves(words[w] + g * lanes, factors + g * group + w * 2 * lanes);
  }
  void halves(const std::uint32_t* word, Sum* factors) const {
    for (int l = 0; l < lanes; ++l) factors[l] = (word[l] & 0xffffu) < threshold_ ? Sum{0} : keep_;
    for (int l = 0; l < lanes; ++l) factors[lanes + l] = (word[l] >> 16) < threshold_ ? Sum{0} : keep_;
  }

  std::uint64_t seed_ = 0;
  std::uint32_t sample_ = 0, step_ = 0, place_ = 0, threshold_ = 0;
  Sum keep_ = 1;
};

}  // namespace strata::cpu
