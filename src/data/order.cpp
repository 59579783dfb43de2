// Data order: the Feistel network and its cycle walk, and orders that a file gives.
#include "strata/data/order.hpp"

#include <bit>
#include <charconv>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "strata/tensor/random.hpp"

namespace strata {
namespace {

constexpr std::uint64_t rounds = 8;  // four make a pseudorandom permutation (Luby and Rackoff 1988); tiny halves want more

void require_samples(std::int64_t samples) {
  if (samples < 1) throw DataError(text("a data order needs at least one sample, found ", samples));
}

bool is_blank(char c) {
  return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

// Numbers with blanks between, each in [0, samples).
std::vector<std::int64_t> read_numbers(const std::filesystem::path& file, std::int64_t samples) {
  const std::string all = read_text(file, std::int64_t{1} << 36);
  std::vector<std::int64_t> numbers;
  std::int64_t line = 1;
  for (const char *at = all.data(), *end = at + all.size();;) {
    for (; at != end && is_blank(*at); ++at) line += *at == '\n';
    if (at == end) return numbers;
    std::int64_t number = -1;
    const auto [behind, error] = std::from_chars(at, end, number);
    if (error != std::errc() || (behind != end && !is_blank(*behind)) || number < 0 || number >= samples) {
      const char* stop = at;
      while (stop != end && !is_blank(*stop) && stop - at < 40) ++stop;
      throw DataError(
          text(file.string(), ", line ", line, ": '", std::string(at, stop), "' is not the number of a sample, from 0 to ", samples - 1));
    }
    numbers.push_back(number);
    at = behind;
  }
}

void require_permutations(const std::filesystem::path& file, const std::vector<std::int64_t>& numbers, std::int64_t samples) {
  const auto count = static_cast<std::int64_t>(numbers.size());
  if (count == 0 || count % samples != 0)
    throw DataError(text(file.string(), " holds ", count, " numbers; an epoch has ", samples, " samples, and whole epochs are wanted"));
  std::vector<bool> seen;
  for (std::int64_t i = 0; i < count; ++i) {
    if (i % samples == 0) seen.assign(static_cast<std::size_t>(samples), false);
    const auto number = static_cast<std::size_t>(numbers[static_cast<std::size_t>(i)]);
    if (seen[number])
      throw DataError(text(file.string(), ": sample ", number, " comes a second time in epoch ", i / samples, " (number ", i + 1,
                           " of the file); an epoch has each of the ", samples, " samples once"));
    seen[number] = true;
  }
}

}  // namespace

DataOrder::DataOrder(std::int64_t samples, std::uint64_t seed, bool shuffle) : samples_(samples), seed_(seed), shuffle_(shuffle) {
  require_samples(samples);
  const int bits = std::bit_width(static_cast<std::uint64_t>(samples - 1));
  half_bits_ = bits < 2 ? 1 : (bits + 1) / 2;
}

DataOrder::DataOrder(std::int64_t samples, const std::filesystem::path& file) : samples_(samples) {
  require_samples(samples);
  auto numbers = std::make_shared<std::vector<std::int64_t>>(read_numbers(file, samples));
  require_permutations(file, *numbers, samples);
  hash_ = xxh3_128(numbers->data(), numbers->size() * sizeof(std::int64_t));
  recorded_ = std::move(numbers);
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
  if (recorded_) return (*recorded_)[static_cast<std::size_t>(position) % recorded_->size()];
  const auto epoch = static_cast<std::uint64_t>(position / samples_);
  auto value = static_cast<std::uint64_t>(position % samples_);
  if (!shuffle_) return static_cast<std::int64_t>(value);
  // The walk ends: a permutation's cycle through a value below n comes back below n at the latest at that value itself.
  do value = encipher(value, epoch);
  while (value >= static_cast<std::uint64_t>(samples_));
  return static_cast<std::int64_t>(value);
}

DataOrder make_order(const DataConfig& data, std::uint64_t seed, std::int64_t samples) {
  return data.order.empty() ? DataOrder(samples, seed, data.shuffle) : DataOrder(samples, data.order);
}

}  // namespace strata
