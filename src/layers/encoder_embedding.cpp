#include "strata/layers/encoder_embedding.hpp"

#include "strata/ops/elementwise.hpp"
#include "strata/ops/embedding.hpp"

namespace strata {

EncoderEmbedding::EncoderEmbedding(ParameterSet& set, const EncoderConfig& c, const EncoderTables& tables, const std::string& scope)
    : dropout_(c.hidden_dropout),
      pad_(tables.pad),
      words_(set.add(scope + ".word_embeddings.weight", Shape{tables.V, c.H}, Init::normal)),
      positions_(set.add(scope + ".position_embeddings.weight", Shape{tables.positions, c.H}, Init::normal)),
      types_(set.add(scope + ".token_type_embeddings.weight", Shape{tables.types, c.H}, Init::normal)),
      norm_(set, scope + ".LayerNorm", c.H, c.eps) {}

void EncoderEmbedding::forward(Context& context, PassShape pass, const Inputs& inputs, const EncoderInputs& at,
                               const LayerNorm::Saved& saved, View x) const {
  const auto weight = [&](int p) { return context.weights.parameter(p); };
  embedding_sum_forward(context.stream, inputs.ids, inputs.types, weight(words_), weight(types_), weight(positions_), pass.S, saved.x);
  norm_.forward(context, saved, x);
  const Dropout what = at.dropout(dropout_, 0);
  if (what.drops()) dropout(context.stream, x, what, x);
}

void EncoderEmbedding::backward(Context& context, const Inputs& inputs, const EncoderInputs& at, const LayerNorm::Saved& saved,
                                View dx) const {
  const Dropout what = at.dropout(dropout_, 0);
  if (what.drops()) dropout(context.stream, dx, what, dx);
  norm_.backward(context, dx, saved, dx);
  // Each table collects the rows that looked it up.
  embedding_backward(context.stream, dx, inputs.ids, context.gradients->parameter(words_), Write::set);
  if (pad_ >= 0) fill(context.stream, context.gradients->parameter(words_).rows(pad_, 1), 0.0);
  embedding_backward(context.stream, dx, inputs.positions, context.gradients->parameter(positions_), Write::set);
  embedding_backward(context.stream, dx, inputs.types, context.gradients->parameter(types_), Write::set);
}

}  // namespace strata
