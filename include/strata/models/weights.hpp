#pragma once
// Weights of a model: where they come from (random numbers, safetensors), how they are kept, and how they leave (a Hugging Face folder).
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "strata/io/safetensors.hpp"
#include "strata/models/causal_config.hpp"
#include "strata/models/weight_rules.hpp"

namespace strata {

/// The weights in the type of the computation. In bf16 training, `remainder` keeps what bf16 drops of the fp32 master
/// (ops/elementwise.hpp), exactly; in f16 training, whose numbers are no part of the master's bits, `master` is all of it.
struct WeightStore {
  FlatBuffer weight;     // f32, bf16, f16 or f64
  FlatBuffer remainder;  // i16, with bf16 training only
  FlatBuffer master;     // f32, with f16 training only

  /// What of the fp32 master lies beside the weight: remainder or master; not given where the weight is all there is.
  const FlatBuffer& rest() const { return master.given() ? master : remainder; }

  /// All of it. (A train state may keep parts.)
  static WeightStore take(Arena& arena, DType compute, const ParameterSet& set, bool with_master);
  /// Whether any of elements [range.first, range.last) of a parameter are here.
  bool holds(int parameter, Range range) const;
  /// Sets those of elements [first, first + values.size()) of a parameter that are here from fp32 values, rounding where the type asks for
  /// it. Thread-safe for separate elements. Local.
  void store(int parameter, std::int64_t first, std::span<const float> values) const;
  /// The fp32 master of elements [first, first + values.size()), all of which are here. Local.
  void load(int parameter, std::int64_t first, std::span<float> values) const;
};

/// Normal with standard deviation `range` (or ones, zeros), each element a function of seed, parameter name and position alone. Local.
void random_weights(Stream& stream, const ParameterSet& set, double range, std::uint64_t seed, const WeightStore& store);

/// Compares names, shapes and types in the file with the model's, headers only; one line per finding, empty if the weights fit. A tied head
/// may be absent or a copy; names may lack or have the family's prefix ("model.", "bert."), as base models' files do; old endings and
/// tensors that nobody reads are known by the rules. Local.
std::vector<std::string> check_weights(const SafetensorsReader& file, const WeightRules& rules, const ParameterSet& set);
/// Names of the parameters that the rules allow a file to lack and this one lacks: a new head. Local.
std::vector<std::string> fresh_parameters(const SafetensorsReader& file, const WeightRules& rules, const ParameterSet& set);
/// Throws DataError with what check_weights finds, or where a tied head's copy differs from the embedding. Local.
void require_weights(const SafetensorsReader& file, const WeightRules& rules, const ParameterSet& set);
/// Loads the weights after require_weights; fresh parameters are those of random_weights with `seed`. Throws DataError. Local.
void load_weights(Stream& stream, const SafetensorsReader& file, const WeightRules& rules, const ParameterSet& set,
                  const WeightStore& store, std::uint64_t seed);
/// The same for a causal model.
std::vector<std::string> check_weights(const SafetensorsReader& file, const CausalConfig& config, const ParameterSet& set);
void require_weights(const SafetensorsReader& file, const CausalConfig& config, const ParameterSet& set);
void load_weights(Stream& stream, const SafetensorsReader& file, const CausalConfig& config, const ParameterSet& set,
                  const WeightStore& store);

/// Elements [first, first + count) of a parameter.
struct WeightPiece {
  int parameter;
  std::int64_t first, count;
};
/// All that the store keeps, in pieces of up to `elements`.
std::vector<WeightPiece> weight_pieces(const ParameterSet& set, const WeightStore& store, std::int64_t elements);

/// Source of a parameter's fp32 values for export.
using WeightSource = std::function<void(int parameter, std::int64_t first, std::span<float> values)>;
/// Writes config.json (from `json`, with the architecture of the rules) and model.safetensors (in `type`: f32, bf16) into `folder` (made if
/// need be), as transformers' from_pretrained reads them; tokenizer files are copied from `tokenizer` when given. Files
/// come under a temporary name first, and take their places when all are on disk: what fails before leaves `folder` as it was. Local.
void export_weights(const std::filesystem::path& folder, const std::string& json, const WeightRules& rules, const ParameterSet& set,
                    const WeightSource& source, DType type, const std::filesystem::path& tokenizer);
/// The same for a causal model.
void export_weights(const std::filesystem::path& folder, const CausalConfig& config, const ParameterSet& set, const WeightSource& source,
                    DType type, const std::filesystem::path& tokenizer);

}  // namespace strata
