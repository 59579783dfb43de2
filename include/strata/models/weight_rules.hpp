#pragma once
// Weight rules: how a family names its weights in files, what a file may hold besides, and how weights begin that it does not hold.
#include <cstdint>
#include <string>
#include <vector>

#include "strata/base/shape.hpp"

namespace strata {

struct WeightRules {
  std::string family;             // for messages
  std::string architecture;       // of config.json on export: "BertForQuestionAnswering"
  bool set_architecture = false;  // whatever the file said; else only where it says nothing
  std::string prefix;             // "model.", "bert.": what a base model's file leaves out
  /// Old endings of names and what they are called today: (".gamma", ".weight").
  std::vector<std::pair<std::string, std::string>> old_endings{};
  /// Beginnings (after the prefix or without it) and endings of names that a file may hold and nobody reads: other heads, derived tables.
  std::vector<std::string> ignored_beginnings{}, ignored_endings{};
  /// Beginnings of parameters that a file may lack, a new head: they are then drawn at random, biases zero.
  std::vector<std::string> fresh_beginnings{};
  double initializer_range = 0.02;
  /// A head tied to the embedding: it may be absent, or a copy.
  std::string tied_head{}, tied_to{};
};

}  // namespace strata
