#pragma once
// Split: which documents go to validation.
#include <cstdint>

namespace strata {

/// Cuts the documents' numbers into strata [floor(k / share), floor((k + 1) / share)) and draws one document of each by Philox. So the
/// first n documents hold floor(n share) of validation or one more, spread evenly; a document's side depends on (seed, share, its number in
/// the input) alone: never on ranks, on documents after it, or on what was skipped.
class Split {
 public:
  /// Throws DeckError unless 0 <= share < 1. share = 0: everything is for training.
  Split(double share, std::uint64_t seed);
  bool is_validation(std::int64_t document) const;

 private:
  std::int64_t bound(std::int64_t stratum) const;
  double share_;
  std::uint64_t seed_;
};

}  // namespace strata
