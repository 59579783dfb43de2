#include "strata/layers/encoder_layer.hpp"

#include <cmath>

#include "strata/ops/attention.hpp"

namespace strata {
namespace {

double scale_of(const EncoderConfig& config) {
  return 1.0 / std::sqrt(static_cast<double>(config.hd()));
}

// Queries, keys or values (part 0, 1, 2) of a product [R,3H] as [B,S,nh,hd].
View heads_of(const View& qkv, int part, const EncoderConfig& c, PassShape pass) {
  return qkv.columns(part * c.H, c.H).split_last(c.nh, c.hd()).split_first(pass.B, pass.S);
}
View heads_of(const View& o, const EncoderConfig& c, PassShape pass) {
  return o.split_last(c.nh, c.hd()).split_first(pass.B, pass.S);
}

}  // namespace

EncoderLayer::Saved EncoderLayer::take_saved(Arena& arena, const std::string& scope, const EncoderConfig& c, PassShape pass, DType type,
                                             Keep keep) {
  const DType wide = type == DType::f64 ? DType::f64 : DType::f32;
  const std::int64_t R = pass.R();
  Saved saved;
  saved.qkv = take(arena, scope + ".attention.qkv", type, Shape{R, 3 * c.H});
  saved.o = take(arena, scope + ".attention.o", type, Shape{R, c.H});
  saved.lse = take(arena, scope + ".attention.lse", wide, Shape{pass.B, c.nh, pass.S});
  saved.sum1 = LayerNorm::take_saved(arena, scope + ".attention.norm", R, c.H, type);
  saved.inner = take(arena, scope + ".mlp.inner", type, Shape{R, c.F});
  saved.sum2 = LayerNorm::take_saved(arena, scope + ".mlp.norm", R, c.H, type);
  if (keep == Keep::costly) return saved;
  saved.m = take(arena, scope + ".m", type, Shape{R, c.H});
  saved.hidden = take(arena, scope + ".mlp.hidden", type, Shape{R, c.F});
  return saved;
}

std::vector<View> EncoderLayer::Saved::views() const {
  std::vector<View> given;
  for (const View& view : {qkv, o, lse, sum1.x, sum1.mean, sum1.rstd, inner, sum2.x, sum2.mean, sum2.rstd, m, hidden})
    if (view.given()) given.push_back(view);
  return given;
}

EncoderLayer::Scratch EncoderLayer::take_scratch(Arena& arena, const EncoderConfig& c, PassShape pass, DType type, Keep keep,
                                                 bool backward) {
  const auto scratch = [&](const char* name, std::int64_t width) {
    return take(arena, std::string("workspace.layer.") + name, type, Shape{pass.R(), width});
  };
  Scratch s;
  s.normed = scratch("normed", c.H);
  if (keep == Keep::costly) s.hidden = scratch("hidden", c.F);
  if (!backward) return s;
  s.d_hidden = scratch("d_hidden", c.F);
  s.dqkv = scratch("dqkv", 3 * c.H);
  s.d_o = scratch("d_o", c.H);
  if (c.hidden_dropout > 0) s.d_branch = scratch("d_branch", c.H);
  return s;
}

EncoderLayer::EncoderLayer(ParameterSet& set, const EncoderConfig& c, const std::string& scope, int number)
    : config_(c),
      number_(number),
      qkv_(set, {{scope + ".attention.self.query", c.H}, {scope + ".attention.self.key", c.H}, {scope + ".attention.self.value", c.H}}, c.H,
           true),
      o_(set, {{scope + ".attention.output.dense", c.H}}, c.H, true),
      norm1_(set, scope + ".attention.output.LayerNorm", c.H, c.eps),
      in_(set, {{scope + ".intermediate.dense", c.F}}, c.H, true),
      out_(set, {{scope + ".output.dense", c.H}}, c.F, true),
      norm2_(set, scope + ".output.LayerNorm", c.H, c.eps) {}

// 0: the probabilities of attention, 1: what attention adds, 2: what the MLP adds.
Dropout EncoderLayer::dropout(const EncoderInputs& at, int which) const {
  return at.dropout(which == 0 ? config_.attention_dropout : config_.hidden_dropout, 1 + 3 * number_ + which);
}

void EncoderLayer::forward(Context& context, PassShape pass, const EncoderInputs& at, ConstView x, const Saved& saved,
                           const Scratch& scratch, View y) const {
  const View &m = kept_or(saved.m, scratch.normed), &hidden = kept_or(saved.hidden, scratch.hidden);
  // q, k, v = W_q x + b_q, ..., as one product
  qkv_.forward(context, x, ConstView(), saved.qkv);
  // o = dropout(softmax(q k^T / sqrt(hd))) v
  const auto part = [&](int i) { return heads_of(saved.qkv, i, config_, pass); };
  bidirectional_attention_forward(context.stream, part(0), part(1), part(2), at.lengths, dropout(at, 0), scale_of(config_),
                                  heads_of(saved.o, config_, pass), saved.lse);
  // m = norm1(x + dropout(W_o o + b_o))
  o_.forward(context, saved.o, ConstView(), saved.sum1.x);
  norm1_.add_forward(context, x, dropout(at, 1), saved.sum1, m);
  // h = gelu(W_in m + b_in)
  in_.forward(context, m, ConstView(), saved.inner);
  gelu_forward(context.stream, saved.inner, config_.activation, hidden);
  // y = norm2(m + dropout(W_out h + b_out))
  out_.forward(context, hidden, ConstView(), saved.sum2.x);
  norm2_.add_forward(context, m, dropout(at, 2), saved.sum2, y.given() ? y : scratch.normed);
}

void EncoderLayer::backward(Context& context, PassShape pass, const EncoderInputs& at, ConstView x, const Saved& saved,
                            const Scratch& scratch, View dy) const {
  // m and h, kept or made again
  const View &m = kept_or(saved.m, scratch.normed), &hidden = kept_or(saved.hidden, scratch.hidden);
  if (!saved.m.given()) norm1_.forward(context, saved.sum1, m, false);
  if (!saved.hidden.given()) gelu_forward(context.stream, saved.inner, config_.activation, hidden);
  // dm = dy through norm2, and the same through dropout to the MLP, whose sums are db_out; dW_out, dh
  const View d_mlp = norm2_.add_backward(context, dy, dropout(at, 2), saved.sum2, scratch.d_branch, out_.bias_gradient(context));
  out_.backward(context, d_mlp, hidden, scratch.d_hidden, Write::set, BiasGradient::made);
  // gelu'(dh), whose sums are db_in; dW_in, dm +=
  gelu_backward(context.stream, scratch.d_hidden, saved.inner, config_.activation, scratch.d_hidden, in_.bias_gradient(context),
                context.write);
  in_.backward(context, scratch.d_hidden, m, dy, Write::add, BiasGradient::made);
  // dx = dm through norm1, and the same through dropout to the attention, whose sums are db_o; dW_o, do
  const View d_attention = norm1_.add_backward(context, dy, dropout(at, 1), saved.sum1, scratch.d_branch, o_.bias_gradient(context));
  o_.backward(context, d_attention, saved.o, scratch.d_o, Write::set, BiasGradient::made);
  // dq, dk, dv
  const auto part = [&](const View& qkv, int i) { return heads_of(qkv, i, config_, pass); };
  bidirectional_attention_backward(context.stream, heads_of(scratch.d_o, config_, pass), part(saved.qkv, 0), part(saved.qkv, 1),
                                   part(saved.qkv, 2), heads_of(saved.o, config_, pass), saved.lse, at.lengths, dropout(at, 0),
                                   scale_of(config_), part(scratch.dqkv, 0), part(scratch.dqkv, 1), part(scratch.dqkv, 2));
  // dW_qkv = dqkv^T x,  dx += dqkv W_qkv
  qkv_.backward(context, scratch.dqkv, x, dy, Write::add);
}

}  // namespace strata
