#pragma once
// The embedding of a BERT-type encoder: words, positions and types, normalised, with dropout.
#include <string>

#include "strata/layers/encoder_layer.hpp"

namespace strata {

/// Sizes of its tables.
struct EncoderTables {
  std::int64_t V = 0, positions = 0, types = 0;
  std::int64_t pad = -1;  // word whose row never gets a gradient (pad_token_id, as in Hugging Face); -1: none
};

/// x = dropout(norm(W[ids] + T[types] + P[position])), positions counted from 0 in each sequence. x [R,H]. Local.
class EncoderEmbedding {
 public:
  /// ids, types, positions i32 [R].
  struct Inputs {
    ConstView ids, types, positions;
  };
  /// Registers BERT's names under `scope` ("bert.embeddings"). Its dropout is the model's site 0.
  EncoderEmbedding(ParameterSet& set, const EncoderConfig& config, const EncoderTables& tables, const std::string& scope);
  void forward(Context& context, PassShape pass, const Inputs& inputs, const EncoderInputs& at, const LayerNorm::Saved& saved,
               View x) const;
  /// Sets the gradients; dx is overwritten.
  void backward(Context& context, const Inputs& inputs, const EncoderInputs& at, const LayerNorm::Saved& saved, View dx) const;

 private:
  double dropout_;
  std::int64_t pad_;
  int words_, positions_, types_;
  LayerNorm norm_;
};

}  // namespace strata
