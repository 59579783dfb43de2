#pragma once
// Factors of dropout, 128 at a time: Philox 4x32-10 in 16 lanes, the same numbers as random_bits() gives one by one.
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
    for (std::int64_t j = 0; j < count; j += group) fill(static_cast<std::uint32_t>(i << 16 | (first + j) / 8), factors + j);
  }

  /// The factor of what is not dropped.
  Sum kept() const { return keep_; }

 private:
  static constexpr int lanes = 16;

  // Element h * 16 + l of a group is half-word h of counter l: word h / 2, lower half first.
  void fill(std::uint32_t first_counter, Sum* factors) const {
    std::uint32_t x0[lanes], x1[lanes], x2[lanes], x3[lanes];
    for (int l = 0; l < lanes; ++l) x0[l] = sample_, x1[l] = step_, x2[l] = first_counter + static_cast<std::uint32_t>(l), x3[l] = place_;
    std::uint32_t k0 = static_cast<std::uint32_t>(seed_);
    std::uint32_t k1 = static_cast<std::uint32_t>(seed_ >> 32) ^ (static_cast<std::uint32_t>(RandomPurpose::dropout) * 0x9E3779B9u);
    for (int round = 0; round < 10; ++round) {
      for (int l = 0; l < lanes; ++l) {
        const std::uint64_t a = std::uint64_t{x0[l]} * 0xD2511F53u, b = std::uint64_t{x2[l]} * 0xCD9E8D57u;
        const std::uint32_t y0 = static_cast<std::uint32_t>(b >> 32) ^ x1[l] ^ k0, y2 = static_cast<std::uint32_t>(a >> 32) ^ x3[l] ^ k1;
        x1[l] = static_cast<std::uint32_t>(b), x3[l] = static_cast<std::uint32_t>(a), x0[l] = y0, x2[l] = y2;
      }
      k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    halves(x0, factors), halves(x1, factors + 2 * lanes), halves(x2, factors + 4 * lanes), halves(x3, factors + 6 * lanes);
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
