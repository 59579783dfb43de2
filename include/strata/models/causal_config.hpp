#pragma once
// What a config.json says of a causal language model, whatever its family.
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "strata/layers/block.hpp"
#include "strata/models/weight_rules.hpp"
#include "strata/ops/rope.hpp"

namespace strata {

struct CausalConfig {
  std::string family;  // model_type: "qwen3", "llama", "mistral"
  std::int64_t V = 0, H = 0, L = 0;
  BlockConfig block;
  RopeConfig rope;
  std::int64_t positions = 0;  // max_position_embeddings
  std::int64_t window = 0;     // sliding window in force; 0: none
  bool tied = false;
  double initializer_range = 0.02;
  std::vector<std::int64_t> eos;  // eos_token_id, one or several; empty: none
  std::string json;               // the file itself

  /// Throws DataError where a sequence of S tokens would need what is not supported (longer than the positions or than the window).
  void check_sequence(std::int64_t S) const;
  WeightRules weight_rules() const;
};

/// Reads config.json (or the one in the folder `path`), in its older and newer form (semantics S8). Whatever it asks for that is not
/// supported is refused by name. Throws DataError naming file and key. Local.
CausalConfig read_model_config(const std::filesystem::path& path);
/// The same from the text; `origin` names it in messages.
CausalConfig parse_model_config(const std::string& json, const std::string& origin);

}  // namespace strata
