#pragma once
// Answer logits: those of all features of a file, computed by many ranks, gathered for the search.
#include <cstdint>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/evaluate/answer_search.hpp"

namespace strata {

/// 8 bytes of memory per token of the features put here; after gather() of all features, on rank 0.
class AnswerLogits {
 public:
  AnswerLogits(std::int64_t features, std::int64_t sequence);
  /// Start logits, then end logits, of feature `k`: 2 * sequence values. Local.
  void put(std::int64_t k, const float* logits);
  /// Brings every feature to rank 0. Throws InternalError on all ranks unless each was put exactly once by exactly one. Collective over
  /// `comm`.
  void gather(Communicator& comm);
  /// Of feature `k`, put here or, on rank 0, gathered. Local; thread-safe.
  FeatureLogits of(std::int64_t k) const;

 private:
  std::int64_t sequence_;
  std::vector<std::int64_t> place_;    // of each feature in values_; -1: not here
  std::vector<std::int64_t> numbers_;  // of the features in values_
  std::vector<float> values_;
};

}  // namespace strata
