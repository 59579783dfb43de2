#pragma once
// Data order as a function: which sample stands at a position of the endless stream of epochs.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "strata/data/config.hpp"

namespace strata {

/// Epoch e covers the positions [e n, (e + 1) n) of n samples. Within an epoch every sample stands at exactly one position: a Feistel
/// network of 8 rounds with Philox as round function over the smallest power of four that holds n, walked along its cycles until it falls
/// below n (Black and Rogaway 2002). Nothing about ranks, threads or time enters; any position is found at once, so a cursor is one number.
struct DataOrder {
  /// shuffle = false: file order. Throws DataError for samples < 1.
  DataOrder(std::int64_t samples, std::uint64_t seed, bool shuffle);
  /// As a file says (data.order): the numbers of the samples, one after the other, for one epoch or several; after the last epoch in the
  /// file its first one comes again. Throws DataError where an epoch of it does not have each sample once.
  DataOrder(std::int64_t samples, const std::filesystem::path& file);
  std::int64_t samples() const { return samples_; }
  /// position / samples, for position >= 0.
  std::int64_t epoch_of(std::int64_t position) const { return position / samples_; }
  /// In [0, samples).
  std::int64_t sample_at(std::int64_t position) const;
  /// XXH3-128 of a recorded order's numbers; empty: seed and shuffle say everything.
  const std::string& hash() const { return hash_; }

 private:
  std::uint64_t encipher(std::uint64_t value, std::uint64_t epoch) const;

  std::int64_t samples_;
  std::uint64_t seed_ = 0;
  bool shuffle_ = false;
  int half_bits_ = 1;                                          // of the network's two halves
  std::shared_ptr<const std::vector<std::int64_t>> recorded_;  // null: computed
  std::string hash_;
};

/// What data.order, data.shuffle and the seed say.
DataOrder make_order(const DataConfig& data, std::uint64_t seed, std::int64_t samples);

}  // namespace strata
