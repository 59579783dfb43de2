#include "strata/tensor/random.hpp"

#include <Random123/philox.h>

#include <cmath>
#include <numbers>

namespace strata {
namespace {
double to_unit(std::uint32_t high, std::uint32_t low) {
  return static_cast<double>((std::uint64_t{high} << 21) | (low >> 11)) * 0x1p-53;
}
}  // namespace

std::array<std::uint32_t, 4> random_bits(std::uint64_t seed, RandomPurpose purpose, std::uint64_t a, std::uint64_t b) {
  // The purpose is mixed into the key's high word by an odd constant, so that seeds that differ in few bits do not meet other purposes.
  const r123::Philox4x32::key_type key{
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32) ^ (static_cast<std::uint32_t>(purpose) * 0x9E3779B9u)}};
  const r123::Philox4x32::ctr_type counter{{static_cast<std::uint32_t>(a), static_cast<std::uint32_t>(a >> 32),
                                            static_cast<std::uint32_t>(b), static_cast<std::uint32_t>(b >> 32)}};
  const auto r = r123::Philox4x32()(counter, key);
  return {r[0], r[1], r[2], r[3]};
}

double random_uniform(std::uint64_t seed, RandomPurpose purpose, std::uint64_t a, std::uint64_t b) {
  const auto r = random_bits(seed, purpose, a, b);
  return to_unit(r[0], r[1]);
}

std::array<double, 2> random_normals(std::uint64_t seed, RandomPurpose purpose, std::uint64_t a, std::uint64_t b) {
  const auto r = random_bits(seed, purpose, a, b);
  const double radius = std::sqrt(-2.0 * std::log(1.0 - to_unit(r[0], r[1])));
  const double angle = 2.0 * std::numbers::pi * to_unit(r[2], r[3]);
  return {radius * std::cos(angle), radius * std::sin(angle)};
}

}  // namespace strata
