#pragma once
// Validation loss: exact over ranks, the same bits for every rank count.
#include <cstdint>

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
/// whoever computed them. `traffic`: brings weights that are not whole; null where they are. Collective over `comm`.
ValidationResult validate(Stream& stream, Communicator& comm, const CausalLm& model, const FlatBuffer& weights,
                          CausalLm::Activations& activations, LeafSource& source, std::int64_t leaves, UnitTraffic* traffic = nullptr);

}  // namespace strata
