#pragma once
// Data order as a function: which sample stands at a position of the endless stream of epochs.
#include <cstdint>

namespace strata {

/// Epoch e covers the positions [e n, (e + 1) n) of n samples. Within an epoch every sample stands at exactly one position: a Feistel
/// network of 8 rounds with Philox as round function over the smallest power of four that holds n, walked along its cycles until it falls
/// below n (Black and Rogaway 2002). Nothing about ranks, threads or time enters; any position is found at once, so a cursor is one number.
struct DataOrder {
  /// shuffle = false: file order. Throws DataError for samples < 1.
  DataOrder(std::int64_t samples, std::uint64_t seed, bool shuffle);
  std::int64_t samples() const { return samples_; }
  /// position / samples, for position >= 0.
  std::int64_t epoch_of(std::int64_t position) const { return position / samples_; }
  /// In [0, samples).
  std::int64_t sample_at(std::int64_t position) const;

 private:
  std::uint64_t encipher(std::uint64_t value, std::uint64_t epoch) const;

  std::int64_t samples_;
  std::uint64_t seed_;
  bool shuffle_;
  int half_bits_;  // of the network's two halves
};

}  // namespace strata
