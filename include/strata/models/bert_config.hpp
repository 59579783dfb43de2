#pragma once
// What a config.json says of a BERT-type encoder.
#include <filesystem>
#include <string>

#include "strata/layers/encoder_embedding.hpp"
#include "strata/models/weight_rules.hpp"

namespace strata {

struct BertConfig {
  std::string family = "bert";  // model_type
  EncoderConfig layer;
  EncoderTables tables;
  std::int64_t L = 0;
  double initializer_range = 0.02;
  std::string json;  // the file itself

  /// Throws DataError where a sequence of S tokens is longer than max_position_embeddings.
  void check_sequence(std::int64_t S) const;
  /// Names with or without "bert.", LayerNorm's old endings gamma and beta; other heads and the pooler are passed over, qa_outputs may be
  /// new.
  WeightRules weight_rules() const;
};

/// Reads config.json (or the one in the folder `path`), of any model with a BERT encoder. hidden_act is gelu or gelu_python (erf),
/// gelu_new, gelu_pytorch_tanh or gelu_fast (tanh). What it asks for that is not supported is refused by name. Throws DataError naming file
/// and key. Local.
BertConfig read_bert_config(const std::filesystem::path& path);
/// The same from the text; `origin` names it in messages.
BertConfig parse_bert_config(const std::string& json, const std::string& origin);

}  // namespace strata
