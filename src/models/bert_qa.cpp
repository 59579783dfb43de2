#include "strata/models/bert_qa.hpp"

#include <algorithm>

#include "strata/ops/span_head.hpp"
#include "strata/tensor/values.hpp"

namespace strata {
namespace {

// Two per sequence, as the head's ops take them.
View pairs(const View& flat, PassShape pass) {
  return flat.reshaped(Shape{pass.B, 2});
}

// What both kinds of pass read and write besides the layers' own.
void take_batch(Arena& arena, Activations& a, DType wide, bool drops) {
  const std::int64_t R = a.pass.R(), B = a.pass.B;
  a.inputs = take(arena, "batch.inputs", DType::i32, Shape{R});
  a.labels = take(arena, "batch.labels", DType::i32, Shape{2 * B});
  a.positions = take(arena, "batch.positions", DType::i32, Shape{R});
  a.row_loss = take(arena, "batch.row_loss", DType::f64, Shape{2 * B});
  a.encoder.types = take(arena, "batch.types", DType::i32, Shape{R});
  a.encoder.lengths = take(arena, "batch.lengths", DType::i32, Shape{B});
  if (drops) a.encoder.samples = take(arena, "batch.samples", DType::i32, Shape{B});
  a.encoder.logits = take(arena, "activations.logits", wide, Shape{B, 2, a.pass.S});
}

// Places that take turns are slots; otherwise each layer has its own.
void take_layers(Arena& arena, Activations& a, const BertConfig& config, DType type, bool train, Keep keep) {
  const auto L = static_cast<std::size_t>(config.L);
  const bool slots = train && a.policy.offload, one = !train || a.policy.recompute == Recompute::full;
  const auto scope = [&](std::size_t i) { return text(slots ? "activations.slot." : "activations.layer.", i); };
  const std::size_t streams = slots || !train ? 2 : L + 1, places = one ? 1 : slots ? std::min<std::size_t>(2, L) : L;
  for (std::size_t i = 0; i < streams; ++i) a.x.push_back(take(arena, scope(i) + ".x", type, Shape{a.pass.R(), config.layer.H}));
  for (std::size_t i = 0; i < places; ++i)
    a.encoder.saved.push_back(
        EncoderLayer::take_saved(arena, train && one ? "activations.recomputed" : scope(i), config.layer, a.pass, type, keep));
}

void take_host(Arena& arena, Activations& a, const BertConfig& config, DType type) {
  for (std::int64_t l = 0; l + 1 < config.L; ++l) {
    const std::string scope = text("host.activations.layer.", l);
    Activations::Stored stored{take(arena, scope + ".x", type, Shape{a.pass.R(), config.layer.H}), {}};
    if (a.policy.recompute != Recompute::full)
      stored.saved = EncoderLayer::take_saved(arena, scope, config.layer, a.pass, type, a.policy.keep()).views();
    a.host.push_back(stored);
  }
}

}  // namespace

BertForQuestionAnswering::BertForQuestionAnswering(const BertConfig& config) : config_(config) {
  set_.begin_unit("embedding");
  embedding_.emplace(set_, config.layer, config.tables, "bert.embeddings");
  layers_.reserve(static_cast<std::size_t>(config.L));
  for (std::int64_t l = 0; l < config.L; ++l) {
    set_.begin_unit(text("layer.", l), true);
    layers_.emplace_back(set_, config.layer, text("bert.encoder.layer.", l), static_cast<int>(l));
  }
  set_.begin_unit("head");
  head_ = set_.add("qa_outputs.weight", Shape{2, config.layer.H}, Init::normal);
  head_bias_ = set_.add("qa_outputs.bias", Shape{2}, Init::zeros);
}

std::string BertForQuestionAnswering::summary() const {
  const BertConfig& c = config_;
  return text(c.family, " for question answering, ", c.L, " layers, hidden size ", c.layer.H, ", vocabulary ", c.tables.V, ", ",
              c.tables.positions, " positions");
}

Activations BertForQuestionAnswering::take_activations(Arena& arena, PassShape pass, DType type, PassKind kind, bool document_mask,
                                                       ActivationPolicy policy) const {
  if (document_mask) throw DeckError("data.mask_documents = true is for causal models; a BERT model sees each sequence whole");
  const bool train = kind == PassKind::train;
  const DType wide = type == DType::f64 ? DType::f64 : DType::f32;
  const Keep keep = train ? policy.keep() : Keep::costly;
  Activations a;
  a.pass = pass;
  a.policy = policy;
  take_batch(arena, a, wide, train && (config_.layer.hidden_dropout > 0 || config_.layer.attention_dropout > 0));
  a.encoder.embedding = LayerNorm::take_saved(arena, "activations.embedding", pass.R(), config_.layer.H, type);
  take_layers(arena, a, config_, type, train, keep);
  a.encoder.scratch = EncoderLayer::take_scratch(arena, config_.layer, pass, type, keep, train);
  if (train) a.dx = take(arena, "activations.dx", type, Shape{pass.R(), config_.layer.H});
  if (train && policy.offload) take_host(arena, a, config_, type);
  return a;
}

void BertForQuestionAnswering::prepare(Activations& a) const {
  std::vector<std::int32_t> position(static_cast<std::size_t>(a.pass.R()));
  for (std::size_t r = 0; r < position.size(); ++r) position[r] = static_cast<std::int32_t>(static_cast<std::int64_t>(r) % a.pass.S);
  set_values(a.positions, position);
}

EncoderEmbedding::Inputs BertForQuestionAnswering::embedding_inputs(const Activations& a) const {
  return {a.inputs, a.encoder.types, a.positions};
}

EncoderInputs BertForQuestionAnswering::inputs_of(const Activations& a, bool draw) const {
  return {a.encoder.lengths, draw, {0, a.encoder.seed, a.encoder.step, 0, a.encoder.samples, a.encoder.step_at}};
}

// Runs embedding and layers, each by `layer`, up to the head.
void BertForQuestionAnswering::layers_forward(Context& context, Activations& a, const EncoderInputs& at,
                                              const std::function<void(std::size_t)>& layer) const {
  context.use(0);
  embedding_->forward(context, a.pass, embedding_inputs(a), at, a.encoder.embedding, a.x_at(0));
  for (std::size_t l = 0; l < layers_.size(); ++l) {
    context.use(layer_unit(l));
    layer(l);
  }
  context.use(head_unit());
  span_logits_forward(context.stream, a.x_at(layers_.size()), context.weights.parameter(head_), context.weights.parameter(head_bias_),
                      a.encoder.logits);
}

void BertForQuestionAnswering::forward_logits(Context& context, Activations& a, const ResultObserver& look) const {
  const EncoderInputs at = inputs_of(a, false);
  layers_forward(context, a, at, [&](std::size_t l) {
    const EncoderLayer::Saved& saved = a.encoder_at(l);
    layers_[l].forward(context, a.pass, at, a.x_at(l), saved, a.encoder.scratch, a.x_at(l + 1));
    if (!look) return;
    const std::string layer = text("layer ", l, ": ");
    if (l == 0) look("the output of the embedding", a.x_at(0));
    look(layer + "queries, keys and values", saved.qkv);
    look(layer + "the output of the attention", saved.o);
    look(layer + "the sum before the attention's norm", saved.sum1.x);
    look(layer + "the MLP before its activation", saved.inner);
    look(layer + "the sum before the MLP's norm", saved.sum2.x);
    look(layer + "the output", a.x_at(l + 1));
  });
}

void BertForQuestionAnswering::forward(Context& context, Activations& a, const ResultObserver& look) const {
  forward_logits(context, a, look);
  span_cross_entropy_forward(context.stream, a.encoder.logits, pairs(a.labels, a.pass), pairs(a.row_loss, a.pass));
}

// Over a.dx. What the last layer's forward has kept is still in its place.
void BertForQuestionAnswering::layer_backward(Context& context, Activations& a, const EncoderInputs& at, std::size_t l) const {
  a.bring_back(context.stream, l);
  context.use(layer_unit(l));
  if (a.policy.recompute == Recompute::full && l + 1 < layers_.size())
    layers_[l].forward(context, a.pass, at, a.x_at(l), a.encoder_at(l), a.encoder.scratch, View());
  context.open_gradient(layer_unit(l));
  layers_[l].backward(context, a.pass, at, a.x_at(l), a.encoder_at(l), a.encoder.scratch, a.dx);
  context.close_gradient(layer_unit(l));
}

void BertForQuestionAnswering::forward_backward(Context& context, Activations& a, const Factor& scale) const {
  const EncoderInputs at = inputs_of(a, true);
  layers_forward(context, a, at, [&](std::size_t l) {
    a.store_input(context.stream, l);
    layers_[l].forward(context, a.pass, at, a.x_at(l), a.encoder_at(l), a.encoder.scratch, a.x_at(l + 1));
    a.store_saved(context.stream, l);
  });
  // loss, and dlogits over the logits
  span_cross_entropy_backward(context.stream, a.encoder.logits, pairs(a.labels, a.pass), scale, pairs(a.row_loss, a.pass),
                              a.encoder.logits);
  // dx_L through the head
  context.open_gradient(head_unit());
  span_logits_backward(context.stream, a.encoder.logits, a.x_at(layers_.size()), context.weights.parameter(head_), a.dx,
                       context.gradients->parameter(head_), context.gradients->parameter(head_bias_));
  context.close_gradient(head_unit());
  for (std::size_t l = layers_.size(); l-- > 0;) layer_backward(context, a, at, l);
  context.use(0);
  context.open_gradient(0);
  embedding_->backward(context, embedding_inputs(a), at, a.encoder.embedding, a.dx);
  context.close_gradient(0);
}

}  // namespace strata
