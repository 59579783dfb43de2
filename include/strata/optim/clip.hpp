#pragma once
// What AdamW is told about a gradient: the clipping coefficient (semantics S4), and whether a tensor decays.
#include <string>

namespace strata {

/// min(1, max_norm / (norm + 1e-6)), the factor of every gradient element; max_norm 0: clipping is off, 1. The norm is the global L2 norm
/// over all trainable gradients, averaged and unscaled. A norm that is not a number gives nan and an infinite one 0: the caller, which
/// knows the policy for gradients that are not finite, checks the norm first. Throws InternalError for a negative max_norm or norm.
double clip_coefficient(double norm, double max_norm);

/// Whether weight decay applies to a tensor of this rank: decay "matrices", rank 2 and above (not to norm weights and biases); "all",
/// always. `name` is the tensor's, for the message. Throws DeckError naming optimizer.decay for another word.
bool decay_applies(const std::string& decay, int rank_of_tensor, const std::string& name);

}  // namespace strata
