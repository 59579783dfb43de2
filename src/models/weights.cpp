// Keeping weights, and drawing them at random.
#include "strata/models/weights.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "models/weight_pieces.hpp"
#include "strata/base/half.hpp"
#include "strata/tensor/random.hpp"
#include "strata/tensor/values.hpp"

namespace strata {
namespace {

// FNV-1a: a name's number in the random function; part of what a seed means, so it never changes.
std::uint64_t name_number(const std::string& name) {
  std::uint64_t hash = 14695981039346656037ull;
  for (unsigned char c : name) hash = (hash ^ c) * 1099511628211ull;
  return hash;
}

// Four standard normal numbers from one Philox call (Box and Muller 1958).
std::array<float, 4> four_normals(std::uint64_t seed, std::uint64_t name, std::uint64_t quad) {
  const auto bits = random_bits(seed, RandomPurpose::initial_weights, name, quad);
  std::array<float, 4> normals;
  for (std::size_t pair = 0; pair < 2; ++pair) {
    const double radius = std::sqrt(-2.0 * std::log((bits[2 * pair] + 0.5) * 0x1p-32));
    const double angle = 2.0 * std::numbers::pi * (bits[2 * pair + 1] * 0x1p-32);
    normals[2 * pair] = static_cast<float>(radius * std::cos(angle));
    normals[2 * pair + 1] = static_cast<float>(radius * std::sin(angle));
  }
  return normals;
}

}  // namespace

WeightStore WeightStore::take(Arena& arena, DType compute, const ParameterSet& set, bool with_master) {
  WeightStore store;
  store.weight = FlatBuffer::take(arena, "parameters.weight", compute, Partition(set));
  if (with_master && compute == DType::bf16) store.remainder = FlatBuffer::take(arena, "parameters.remainder", DType::i16, Partition(set));
  if (with_master && compute == DType::f16) store.master = FlatBuffer::take(arena, "parameters.master", DType::f32, Partition(set));
  return store;
}

bool WeightStore::holds(int parameter, Range range) const {
  return common(weight.held(parameter), range).count() > 0 || (rest().given() && common(rest().held(parameter), range).count() > 0);
}

namespace {

template <class T, class F>
void store_as(const View& to, const float* values, F&& convert) {
  const auto count = static_cast<std::size_t>(to.elements());
  if (!gpu_of(to.data())) {
    std::transform(values, values + count, to.as<T>(), convert);
    return;
  }
  std::vector<T> converted(count);
  std::transform(values, values + count, converted.begin(), convert);
  set_values(to, converted);
}

std::int16_t remainder_of(float master) {
  return static_cast<std::int16_t>(std::bit_cast<std::uint32_t>(master) - (std::uint32_t{BFloat16(master).bits} << 16));
}

}  // namespace

void WeightStore::store(int parameter, std::int64_t first, std::span<const float> values) const {
  const Range asked{first, first + static_cast<std::int64_t>(values.size())};
  const auto from = [&](Range here) { return values.data() + (here.first - first); };
  if (const Range here = common(weight.held(parameter), asked); here.count() > 0) {
    const View to = weight.slice(parameter, here);
    if (to.type() == DType::f32)
      begin_copy_memory(to.data(), from(here), to.bytes());
    else if (to.type() == DType::f64)
      store_as<double>(to, from(here), [](float v) { return static_cast<double>(v); });
    else if (to.type() == DType::f16)
      store_as<Half>(to, from(here), [](float v) { return Half(v); });
    else
      store_as<BFloat16>(to, from(here), [](float v) { return BFloat16(v); });
  }
  if (!rest().given()) return;
  const Range here = common(rest().held(parameter), asked);
  if (here.count() == 0) return;
  const View to = rest().slice(parameter, here);
  if (master.given())
    begin_copy_memory(to.data(), from(here), to.bytes());
  else
    store_as<std::int16_t>(to, from(here), remainder_of);
}

void WeightStore::load(int parameter, std::int64_t first, std::span<float> values) const {
  const Range asked{first, first + static_cast<std::int64_t>(values.size())};
  const OnHost held((master.given() ? master : weight).slice(parameter, asked));
  const ConstView& from = held.view();
  if (from.type() == DType::f32) {
    std::copy_n(from.as<float>(), values.size(), values.begin());
    return;
  }
  if (from.type() == DType::f64) {
    std::transform(from.as<double>(), from.as<double>() + values.size(), values.begin(), [](double d) { return static_cast<float>(d); });
    return;
  }
  if (from.type() == DType::f16) {
    std::transform(from.as<Half>(), from.as<Half>() + values.size(), values.begin(), [](Half h) { return static_cast<float>(h); });
    return;
  }
  const OnHost lower(remainder.given() ? ConstView(remainder.slice(parameter, asked)) : ConstView());
  const std::int16_t* low = remainder.given() ? lower.view().as<std::int16_t>() : nullptr;
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::bit_cast<float>((std::uint32_t{from.as<BFloat16>()[i].bits} << 16) +
                                     static_cast<std::uint32_t>(static_cast<std::int32_t>(low ? low[i] : 0)));
}

std::vector<WeightPiece> weight_pieces(const ParameterSet& set, const WeightStore& store, std::int64_t elements) {
  std::vector<WeightPiece> pieces;
  for (std::size_t p = 0; p < set.parameters().size(); ++p)
    for (std::int64_t first = 0, n = set.parameters()[p].elements(); first < n; first += elements)
      if (const std::int64_t count = std::min(elements, n - first); store.holds(static_cast<int>(p), {first, first + count}))
        pieces.push_back({static_cast<int>(p), first, count});
  return pieces;
}

std::vector<float> random_values(const Parameter& parameter, double range, std::uint64_t seed, std::int64_t first, std::int64_t count) {
  std::vector<float> values(static_cast<std::size_t>(count), parameter.init == Init::ones ? 1.0f : 0.0f);
  if (parameter.init != Init::normal) return values;
  const std::uint64_t name = name_number(parameter.name);
  for (std::int64_t i = 0; i < count; i += 4) {
    const auto normals = four_normals(seed, name, static_cast<std::uint64_t>((first + i) / 4));
    for (std::int64_t j = 0; j < std::min<std::int64_t>(4, count - i); ++j)
      values[static_cast<std::size_t>(i + j)] = static_cast<float>(range) * normals[static_cast<std::size_t>(j)];
  }
  return values;
}

void random_weights(Stream& stream, const ParameterSet& set, double range, std::uint64_t seed, const WeightStore& store) {
  static_assert(piece_elements % 4 == 0);
  for_pieces(stream, set, store, [&](int p, std::int64_t first, std::int64_t count) {
    store.store(p, first, random_values(set[p], range, seed, first, count));
  });
}

}  // namespace strata
