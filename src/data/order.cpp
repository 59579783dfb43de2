// Data order: the Feistel network and its cycle walk.
#include "strata/data/order.hpp"

#include <bit>

#include "strata/base/error.hpp"
#include "strata/tensor/random.hpp"

namespace strata {
namespace {
constexpr std::uint64_t rounds = 8;  // four make a pseudorandom permutation (Luby and Rackoff 1988); tiny halves want more
}

DataOrder::DataOrder(std::int64_t samples, std::uint64_t seed, bool shuffle)
    : samples_(samples), seed_(seed), shuffle_(shuffle), half_bits_(1) {
  if (samples < 1) throw DataError(text("a data order needs at least one sample, found ", samples));
  const int bits = std::bit_width(static_cast<std::uint64_t>(samples - 1));
  half_bits_ = bits < 2 ? 1 : (bits + 1) / 2;
}

std::uint64_t DataOrder::encipher(std::uint64_t value, std::uint64_t epoch) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = value >> half_bits_, right = value & mask;
  for (std::uint64_t round = 0; round < rounds; ++round) {
    const std::uint64_t mixed = random_bits(seed_, RandomPurpose::data_order, epoch, (round << 32) | right)[0] & mask;
    const std::uint64_t next = left ^ mixed;
    left = right, right = next;
  }
  return (left << half_bits_) | right;
}

std::int64_t DataOrder::sample_at(std::int64_t position) const {
  STRATA_ASSERT(position >= 0, "position ", position);
  const auto epoch = static_cast<std::uint64_t>(position / samples_);
  auto value = static_cast<std::uint64_t>(position % samples_);
  if (!shuffle_) return static_cast<std::int64_t>(value);
  // The walk ends: a permutation's cycle through a value below n comes back below n at the latest at that value itself.
  do value = encipher(value, epoch);
  while (value >= static_cast<std::uint64_t>(samples_));
  return static_cast<std::int64_t>(value);
}

}  // namespace strata
