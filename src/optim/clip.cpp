// The clipping coefficient, and which tensors decay.
#include "strata/optim/clip.hpp"

#include "strata/base/error.hpp"

namespace strata {

double clip_coefficient(double norm, double max_norm) {
  STRATA_ASSERT(max_norm >= 0, "the largest gradient norm is ", max_norm);
  STRATA_ASSERT(!(norm < 0), "the gradient norm is ", norm);
  if (max_norm == 0) return 1.0;
  const double coefficient = max_norm / (norm + 1e-6);
  return coefficient > 1.0 ? 1.0 : coefficient;  // this way round, nan stays nan
}

bool decay_applies(const std::string& decay, int rank_of_tensor, const std::string& name) {
  if (decay == "all") return true;
  if (decay == "matrices") return rank_of_tensor >= 2;
  throw DeckError("optimizer.decay: expected matrices or all, found \"" + decay + "\" (asked for " + name + ")");
}

}  // namespace strata
