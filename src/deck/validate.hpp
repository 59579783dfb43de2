#pragma once
// What every validate function works with: the deck, the command, and a place for findings.
#include <cstdint>
#include <string>
#include <string_view>

#include "deck/problems.hpp"
#include "strata/deck/deck.hpp"

namespace strata::deck {

struct Validation {
  const Deck& deck;
  std::string_view command;
  std::int64_t ranks;  // 0: unknown
  Problems problems;

  const Settings& settings() const { return deck.settings(); }
  /// Something is wrong with the value of `key`, found where the key is given. The message begins with "key = value: ".
  void refuse(const std::string& key, const std::string& message);
  /// `key` is missing, which `command` needs.
  void missing(const std::string& key, const std::string& message);
  /// "key = value (where)"
  std::string quote(const std::string& key) const;
  bool trains() const { return command == "train" || command == "check" || command == "plan"; }
};

void validate_required(Validation& v);
void validate_model(Validation& v);
void validate_tokenizer(Validation& v);
void validate_prepare(Validation& v);
void validate_batch(Validation& v);
void validate_train(Validation& v);
void validate_schedule(Validation& v);
void validate_device(Validation& v);
void validate_evaluate(Validation& v);
void validate_convert(Validation& v);

}  // namespace strata::deck
