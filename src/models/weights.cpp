// Keeping weights, drawing them at random, and loading them from safetensors.
#include "strata/models/weights.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "strata/tensor/random.hpp"

namespace strata {
namespace {

constexpr std::int64_t piece_elements = std::int64_t{1} << 18;

// Calls work(parameter, first, count) for pieces of all that the store keeps, on the stream's threads.
void for_pieces(Stream& stream, const ParameterSet& set, const WeightStore& store,
                FunctionRef<void(int, std::int64_t, std::int64_t)> work) {
  struct Piece {
    int parameter;
    std::int64_t first, count;
  };
  std::vector<Piece> pieces;
  for (std::size_t p = 0; p < set.parameters().size(); ++p)
    for (std::int64_t first = 0, n = set.parameters()[p].elements(); first < n; first += piece_elements)
      if (const std::int64_t count = std::min(piece_elements, n - first); store.holds(static_cast<int>(p), {first, first + count}))
        pieces.push_back({static_cast<int>(p), first, count});
  stream.pool().run(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t task, int) {
    const Piece& piece = pieces[static_cast<std::size_t>(task)];
    work(piece.parameter, piece.first, piece.count);
  });
}

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

float half_to_float(std::uint16_t h) {
  const std::uint32_t sign = static_cast<std::uint32_t>(h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
  if (exponent == 0) return std::bit_cast<float>(sign | 0x3f800000u) * static_cast<float>(mantissa) * 0x1p-24f;
  return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

void read_as_float(const SafetensorsReader& file, const SafetensorsEntry& entry, std::int64_t first, std::int64_t count,
                   std::vector<unsigned char>& raw, float* to) {
  raw.resize(static_cast<std::size_t>(count) * size_of(entry.type));
  file.read(entry, first, count, raw.data());
  for (std::int64_t i = 0; i < count; ++i) {
    if (entry.type == DType::f32)
      std::memcpy(to + i, raw.data() + 4 * i, 4);
    else if (entry.type == DType::f64) {
      double d;
      std::memcpy(&d, raw.data() + 8 * i, 8);
      to[i] = static_cast<float>(d);
    } else {
      std::uint16_t bits;
      std::memcpy(&bits, raw.data() + 2 * i, 2);
      to[i] = entry.type == DType::bf16 ? static_cast<float>(BFloat16::from_bits(bits)) : half_to_float(bits);
    }
  }
}

constexpr const char* embedding_name = "model.embed_tokens.weight";
constexpr const char* head_name = "lm_head.weight";

// The file's name for a parameter: itself, or without "model." where a base model was saved.
const SafetensorsEntry* find_entry(const SafetensorsReader& file, const std::string& name) {
  auto found = file.tensors().find(name);
  if (found == file.tensors().end() && name.rfind("model.", 0) == 0) found = file.tensors().find(name.substr(6));
  return found == file.tensors().end() ? nullptr : &found->second;
}

Shape shape_of(const SafetensorsEntry& entry) {
  Shape shape;
  for (std::int64_t size : entry.shape) shape.append(size);
  return shape;
}

bool known_type(DType type) {
  return type == DType::f32 || type == DType::bf16 || type == DType::f16 || type == DType::f64;
}

// Rotary frequencies that older files carry; they follow from the configuration.
bool derived(const std::string& name) {
  return name.size() > 9 && name.compare(name.size() - 9, 9, ".inv_freq") == 0;
}

void compare_tied_head(const SafetensorsReader& file, const SafetensorsEntry& embedding, const SafetensorsEntry& head) {
  std::vector<unsigned char> raw;
  std::vector<float> a(static_cast<std::size_t>(piece_elements)), b(a.size());
  for (std::int64_t first = 0, n = embedding.elements(); first < n; first += piece_elements) {
    const std::int64_t count = std::min(piece_elements, n - first);
    read_as_float(file, embedding, first, count, raw, a.data());
    read_as_float(file, head, first, count, raw, b.data());
    const auto differs = std::mismatch(a.begin(), a.begin() + count, b.begin());
    if (differs.first != a.begin() + count)
      throw DataError(text(head.file.string(), ": tie_word_embeddings is true, but ", head_name, " differs from ", embedding_name,
                           " at element ", first + (differs.first - a.begin()),
                           "; set tie_word_embeddings to false in config.json, or remove ", head_name));
  }
}

}  // namespace

WeightStore WeightStore::take(Arena& arena, DType compute, const ParameterSet& set, bool with_master) {
  WeightStore store;
  store.weight = FlatBuffer::take(arena, "parameters.weight", compute, Partition(set));
  if (with_master && compute == DType::bf16) store.remainder = FlatBuffer::take(arena, "parameters.remainder", DType::i16, Partition(set));
  return store;
}

bool WeightStore::holds(int parameter, Range range) const {
  return common(weight.held(parameter), range).count() > 0 || (remainder.given() && common(remainder.held(parameter), range).count() > 0);
}

void WeightStore::store(int parameter, std::int64_t first, std::span<const float> values) const {
  const Range asked{first, first + static_cast<std::int64_t>(values.size())};
  const auto from = [&](Range here) { return values.data() + (here.first - first); };
  if (const Range here = common(weight.held(parameter), asked); here.count() > 0) {
    const View to = weight.slice(parameter, here);
    const float* value = from(here);
    if (to.type() == DType::f32)
      std::copy_n(value, here.count(), to.as<float>());
    else if (to.type() == DType::f64)
      std::copy_n(value, here.count(), to.as<double>());
    else
      std::transform(value, value + here.count(), to.as<BFloat16>(), [](float v) { return BFloat16(v); });
  }
  if (!remainder.given()) return;
  if (const Range here = common(remainder.held(parameter), asked); here.count() > 0) {
    auto* low = remainder.slice(parameter, here).as<std::int16_t>();
    const float* value = from(here);
    for (std::int64_t i = 0; i < here.count(); ++i)
      low[i] = static_cast<std::int16_t>(std::bit_cast<std::uint32_t>(value[i]) - (std::uint32_t{BFloat16(value[i]).bits} << 16));
  }
}

void WeightStore::load(int parameter, std::int64_t first, std::span<float> values) const {
  const Range asked{first, first + static_cast<std::int64_t>(values.size())};
  const View from = weight.slice(parameter, asked);
  if (from.type() == DType::f32) {
    std::copy_n(from.as<float>(), values.size(), values.begin());
    return;
  }
  if (from.type() == DType::f64) {
    std::transform(from.as<double>(), from.as<double>() + values.size(), values.begin(), [](double d) { return static_cast<float>(d); });
    return;
  }
  const std::int16_t* low = remainder.given() ? remainder.slice(parameter, asked).as<std::int16_t>() : nullptr;
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = std::bit_cast<float>((std::uint32_t{from.as<BFloat16>()[i].bits} << 16) +
                                     static_cast<std::uint32_t>(static_cast<std::int32_t>(low ? low[i] : 0)));
}

void random_weights(Stream& stream, const ParameterSet& set, double range, std::uint64_t seed, const WeightStore& store) {
  static_assert(piece_elements % 4 == 0);
  for_pieces(stream, set, store, [&](int p, std::int64_t first, std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count), set[p].init == Init::ones ? 1.0f : 0.0f);
    if (set[p].init == Init::normal) {
      const std::uint64_t name = name_number(set[p].name);
      for (std::int64_t i = 0; i < count; i += 4) {
        const auto normals = four_normals(seed, name, static_cast<std::uint64_t>((first + i) / 4));
        for (std::int64_t j = 0; j < std::min<std::int64_t>(4, count - i); ++j)
          values[static_cast<std::size_t>(i + j)] = static_cast<float>(range) * normals[static_cast<std::size_t>(j)];
      }
    }
    store.store(p, first, values);
  });
}

std::vector<std::string> check_weights(const SafetensorsReader& file, const CausalConfig& config, const ParameterSet& set) {
  std::vector<std::string> findings;
  const auto check = [&](const std::string& name, const SafetensorsEntry& entry, const Shape& shape) {
    if (entry.shape.size() > static_cast<std::size_t>(Shape::max_rank) || !(shape_of(entry) == shape)) {
      std::string found;
      for (std::int64_t size : entry.shape) found += (found.empty() ? "" : ", ") + std::to_string(size);
      findings.push_back(
          text(entry.file.string(), ": ", name, " has shape [", found, "], the model's configuration asks for ", shape.str()));
    }
    if (!known_type(entry.type))
      findings.push_back(text(entry.file.string(), ": ", name, " is of type ", name_of(entry.type), "; expected f32, bf16, f16 or f64"));
  };
  for (const Parameter& parameter : set.parameters()) {
    const SafetensorsEntry* entry = find_entry(file, parameter.name);
    if (entry)
      check(parameter.name, *entry, parameter.shape);
    else
      findings.push_back(text("the weights lack ", parameter.name, " ", parameter.shape.str()));
  }
  for (const auto& [name, entry] : file.tensors()) {
    const bool ours = set.find(name) >= 0 || set.find("model." + name) >= 0;
    const bool tied_head = config.tied && name == head_name;
    if (tied_head) check(name, entry, Shape{config.V, config.H});
    if (set.find("model." + name) >= 0 && file.tensors().count("model." + name) > 0)
      findings.push_back(
          text(entry.file.string(), ": holds both ", name, " and model.", name, ", which are one parameter: remove one of them"));
    if (!ours && !tied_head && !derived(name))
      findings.push_back(text(entry.file.string(), ": ", name, " is not a parameter of this ", config.family, " model"));
  }
  return findings;
}

void require_weights(const SafetensorsReader& file, const CausalConfig& config, const ParameterSet& set) {
  const auto findings = check_weights(file, config, set);
  if (!findings.empty()) {
    std::string all = "the weights do not fit the model:";
    for (std::size_t i = 0; i < std::min<std::size_t>(findings.size(), 20); ++i) all += "\n  " + findings[i];
    if (findings.size() > 20) all += text("\n  and ", findings.size() - 20, " more");
    throw DataError(all);
  }
  const SafetensorsEntry* head = config.tied ? find_entry(file, head_name) : nullptr;
  if (head) compare_tied_head(file, *find_entry(file, embedding_name), *head);
}

void load_weights(Stream& stream, const SafetensorsReader& file, const CausalConfig& config, const ParameterSet& set,
                  const WeightStore& store) {
  require_weights(file, config, set);
  for_pieces(stream, set, store, [&](int p, std::int64_t first, std::int64_t count) {
    std::vector<unsigned char> raw;
    std::vector<float> values(static_cast<std::size_t>(count));
    read_as_float(file, *find_entry(file, set[p].name), first, count, raw, values.data());
    store.store(p, first, values);
  });
}

}  // namespace strata
