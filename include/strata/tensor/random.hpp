#pragma once
// Random numbers as functions: Philox 4x32-10 (Salmon et al. 2011) keyed by seed and purpose, counted by what is drawn. No state, no
// streams.
#include <array>
#include <cstdint>

namespace strata {

/// What random numbers are drawn for; part of the key, so that two purposes never share numbers.
enum class RandomPurpose : std::uint32_t {
  initial_weights = 1,
  data_order = 2,
  sampling = 3,
  dropout = 4,
  split = 5,
  bootstrap = 6,
  test = 100
};

/// Four 32-bit numbers for (seed, purpose, a, b): a and b say what is drawn, for example parameter and element, or sequence and position.
std::array<std::uint32_t, 4> random_bits(std::uint64_t seed, RandomPurpose purpose, std::uint64_t a, std::uint64_t b);
/// Uniform in [0, 1), 53 bits.
double random_uniform(std::uint64_t seed, RandomPurpose purpose, std::uint64_t a, std::uint64_t b);
/// Two independent standard normal numbers (Box and Muller 1958).
std::array<double, 2> random_normals(std::uint64_t seed, RandomPurpose purpose, std::uint64_t a, std::uint64_t b);

}  // namespace strata
