// Split: one document of each stratum.
#include "strata/data/split.hpp"

#include <cmath>

#include "strata/base/error.hpp"
#include "strata/tensor/random.hpp"

namespace strata {

Split::Split(double share, std::uint64_t seed) : share_(share), seed_(seed) {
  if (!(share >= 0.0 && share < 1.0)) throw DeckError(text("prepare.split = ", share, ": expected a share in [0, 1)"));
}

std::int64_t Split::bound(std::int64_t stratum) const {
  return static_cast<std::int64_t>(std::floor(static_cast<double>(stratum) / share_));
}

bool Split::is_validation(std::int64_t document) const {
  if (share_ == 0.0) return false;
  auto stratum = static_cast<std::int64_t>(std::floor(static_cast<double>(document) * share_));
  while (stratum > 0 && bound(stratum) > document) --stratum;  // rounding of the two products may disagree by one
  while (bound(stratum + 1) <= document) ++stratum;
  const std::int64_t begin = bound(stratum), length = bound(stratum + 1) - begin;
  const double u = random_uniform(seed_, RandomPurpose::split, static_cast<std::uint64_t>(stratum), 0);
  return document == begin + static_cast<std::int64_t>(u * static_cast<double>(length));
}

}  // namespace strata
