#pragma once
// Validation loss: exact over ranks, the same bits for every rank count.
#include <cstdint>
#include <functional>

#include "strata/comm/communicator.hpp"
#include "strata/models/causal_lm.hpp"
#include "strata/train/step.hpp"

namespace strata {

struct ValidationResult {
  double loss = 0;           // mean over all counted tokens
  std::int64_t counted = 0;  // [tokens]
  std::int64_t sequences = 0;
};

/// Mean loss over `leaves` micro-batches of the source, dealt to ranks in contiguous runs; leaf sums are folded in the canonical order,
/// whoever computed them. progress(done, mine), if given, is called after each leaf of this rank. Collective over `comm`.
ValidationResult validate(Stream& stream, Communicator& comm, const CausalLm& model, const FlatBuffer& weights,
                          CausalLm::Activations& activations, LeafSource& source, std::int64_t leaves,
                          const std::function<void(std::int64_t, std::int64_t)>& progress = {});

}  // namespace strata
