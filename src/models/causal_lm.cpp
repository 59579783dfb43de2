#include "strata/models/causal_lm.hpp"

#include "strata/ops/cross_entropy.hpp"
#include "strata/ops/embedding.hpp"
#include "strata/tensor/values.hpp"

namespace strata {
namespace {
DType wide(DType type) {
  return type == DType::f64 ? DType::f64 : DType::f32;
}
}  // namespace

CausalLm::CausalLm(const CausalConfig& config) : config_(config) {
  set_.begin_unit("embedding");
  embedding_ = set_.add("model.embed_tokens.weight", Shape{config.V, config.H}, Init::normal);
  blocks_.reserve(static_cast<std::size_t>(config.L));
  for (std::int64_t l = 0; l < config.L; ++l) {
    set_.begin_unit(text("layer.", l), true);
    blocks_.emplace_back(set_, config.block, text("model.layers.", l));
  }
  set_.begin_unit("head");
  norm_.emplace(set_, "model.norm", config.H, config.block.attention.eps);
  head_ = config.tied ? embedding_ : set_.add("lm_head.weight", Shape{config.V, config.H}, Init::normal);
}

std::string CausalLm::summary() const {
  const CausalConfig& c = config_;
  return text(c.family, ", ", c.L, " layers, hidden size ", c.H, ", vocabulary ", c.V, ", ", c.positions, " positions",
              c.tied ? ", head tied to the embedding" : "");
}

void CausalLm::prepare(Activations& a) const {
  rope_tables(config_.rope, a.cos, a.sin);
  std::vector<std::int32_t> position(static_cast<std::size_t>(a.pass.R()));
  for (std::size_t r = 0; r < position.size(); ++r) position[r] = static_cast<std::int32_t>(static_cast<std::int64_t>(r) % a.pass.S);
  set_values(a.positions, position);
}

PositionViews CausalLm::at(const Activations& a) const {
  const ConstView first = a.document_mask ? ConstView(a.first_key.reshaped(Shape{a.pass.B, a.pass.S})) : ConstView();
  return {a.cos, a.sin, a.positions, first};
}

View CausalLm::head_weight(const FlatBuffer& buffer) const {
  return buffer.parameter(head_);
}

void CausalLm::block_forward(Context& context, Activations& a, std::size_t l, KeyValueCache* cache) const {
  blocks_[l].forward(context, a.pass, at(a), a.x_at(l), a.saved_at(l), a.scratch, a.x_at(l + 1), cache);
}

// Over a.dx. What the last block's forward has kept is still in its place.
void CausalLm::block_backward(Context& context, Activations& a, std::size_t l) const {
  a.bring_back(context.stream, l);
  const PositionViews positions = at(a);
  context.use(block_unit(l));
  if (a.policy.recompute == Recompute::full && l + 1 < blocks_.size())
    blocks_[l].forward(context, a.pass, positions, a.x_at(l), a.saved_at(l), a.scratch, View());
  context.open_gradient(block_unit(l));
  blocks_[l].backward(context, a.pass, positions, a.x_at(l), a.saved_at(l), a.scratch, a.dx);
  context.close_gradient(block_unit(l));
}

// Runs embedding and blocks, each by `block`; returns norm(x_L), which lies in the layers' scratch.
View CausalLm::blocks_forward(Context& context, Activations& a, const std::function<void(std::size_t)>& block) const {
  context.use(set_[embedding_].unit);
  embedding_forward(context.stream, a.inputs, context.weights.parameter(embedding_), a.x_at(0));
  for (std::size_t l = 0; l < blocks_.size(); ++l) {
    context.use(block_unit(l));
    block(l);
  }
  context.use(head_unit());
  if (config_.tied) context.use(set_[embedding_].unit);
  norm_->forward(context, a.x_at(blocks_.size()), a.scratch.normed, a.rstd);
  return a.scratch.normed;
}

void CausalLm::forward(Context& context, Activations& a, const BlockObserver& look) const {
  const View normed = blocks_forward(context, a, [&](std::size_t l) {
    block_forward(context, a, l);
    if (look) look(l, a.x_at(l), a.saved_at(l), a.x_at(l + 1));
  });
  linear_cross_entropy_forward(context.stream, normed, head_weight(context.weights), a.labels, a.row_loss);
}

void CausalLm::forward(Context& context, Activations& a, const ResultObserver& look) const {
  if (!look) {
    forward(context, a, BlockObserver());
    return;
  }
  forward(context, a, [&](std::size_t l, const View& x, const Block::Saved& saved, const View& y) {
    const std::string layer = text("layer ", l, ": ");
    if (l == 0) look("the output of the embedding", x);
    look(layer + "queries, keys and values", saved.attention.qkv);
    look(layer + "the output of the attention", saved.attention.o);
    look(layer + "the residual stream after the attention", saved.x_mid);
    look(layer + "gate and up of the MLP", saved.mlp.gate_up);
    look(layer + "the residual stream after the MLP", y);
  });
}

void CausalLm::forward_backward(Context& context, Activations& a, const Factor& scale) const {
  const FlatBuffer& gradients = *context.gradients;
  const View normed = blocks_forward(context, a, [&](std::size_t l) {
    a.store_input(context.stream, l);
    block_forward(context, a, l);
    a.store_saved(context.stream, l);
  });
  // loss, and dnorm over norm(x_L)
  if (config_.tied) context.open_gradient(set_[embedding_].unit);
  context.open_gradient(head_unit());
  linear_cross_entropy_backward(context.stream, normed, head_weight(context.weights), a.labels, scale, a.row_loss, normed,
                                head_weight(gradients), Write::set);
  // dx_L through the last norm
  norm_->backward(context, normed, a.x_at(blocks_.size()), a.rstd, a.dx, Write::set);
  context.close_gradient(head_unit());
  for (std::size_t l = blocks_.size(); l-- > 0;) block_backward(context, a, l);
  // The head's gradient is already there when the embedding is tied to it.
  if (!config_.tied) context.open_gradient(set_[embedding_].unit);
  embedding_backward(context.stream, a.dx, a.inputs, gradients.parameter(embedding_), config_.tied ? Write::add : Write::set);
  context.close_gradient(set_[embedding_].unit);
}

void CausalLm::logits_of(Context& context, ConstView normed, View logits) const {
  const View weight = head_weight(context.weights);
  const auto timed = context.stream.record("logits", 2.0 * static_cast<double>(normed.size(0)) * static_cast<double>(config_.V * config_.H),
                                           static_cast<double>(weight.bytes()));
  if (context.stream.planning()) return;
  gemm(context.stream, normed.size(0), config_.V, config_.H, normed.type(), {normed.data(), normed.stride(0), false},
       {weight.data(), config_.H, true}, logits.type(), logits.data(), logits.stride(0));
}

void CausalLm::forward_logits(Context& context, Activations& a, View logits) const {
  const View normed = blocks_forward(context, a, [&](std::size_t l) { block_forward(context, a, l); });
  logits_of(context, normed, logits);
}

CausalLm::Decoder CausalLm::take_decoder(Arena& arena, std::int64_t B, std::int64_t C, DType type) const {
  const AttentionConfig& attention = config_.block.attention;
  Decoder d;
  for (std::int64_t l = 0; l < config_.L; ++l) {
    const Shape shape{B, C, attention.nkv, attention.hd};
    d.caches.push_back(
        {take(arena, text("cache.layer.", l, ".keys"), type, shape), take(arena, text("cache.layer.", l, ".values"), type, shape)});
  }
  d.cos = take(arena, "tables.rope", wide(type), Shape{C, config_.rope.head_size / 2});
  d.sin = take(arena, "tables.rope", wide(type), Shape{C, config_.rope.head_size / 2});
  d.ids = take(arena, "batch.ids", DType::i32, Shape{B});
  d.positions = take(arena, "batch.positions", DType::i32, Shape{B});
  d.lengths = take(arena, "batch.lengths", DType::i32, Shape{B});
  d.x = take(arena, "activations.decode.x", type, Shape{B, config_.H});
  d.logits = take(arena, "activations.decode.logits", wide(type), Shape{B, config_.V});
  d.scratch = Block::take_decode_scratch(arena, config_.block, B, type);
  return d;
}

void CausalLm::prepare(Decoder& decoder) const {
  rope_tables(config_.rope, decoder.cos, decoder.sin);
}

void CausalLm::prefill(Context& context, Activations& a, Decoder& decoder, std::int64_t slot) const {
  const View normed = blocks_forward(context, a, [&](std::size_t l) {
    KeyValueCache cache{decoder.caches[l].keys.rows(slot, 1), decoder.caches[l].values.rows(slot, 1)};
    block_forward(context, a, l, &cache);
  });
  logits_of(context, normed.rows(a.pass.S - 1, 1), decoder.logits.rows(slot, 1));
}

void CausalLm::decode(Context& context, Decoder& d, std::int64_t B) const {
  const auto first = [&](const View& view) { return view.rows(0, B); };
  const PositionViews positions{d.cos, d.sin, first(d.positions), ConstView()};
  embedding_forward(context.stream, first(d.ids), context.weights.parameter(embedding_), first(d.x));
  for (std::size_t l = 0; l < blocks_.size(); ++l)
    blocks_[l].decode(context, positions, first(d.lengths), first(d.x), d.scratch, d.caches[l]);
  norm_->forward(context, first(d.x), first(d.scratch.normed), View());
  logits_of(context, first(d.scratch.normed), first(d.logits));
}

}  // namespace strata
