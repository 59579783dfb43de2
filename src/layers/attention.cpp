#include "strata/layers/attention.hpp"

#include <cmath>

#include "strata/ops/attention.hpp"
#include "strata/ops/kv_cache.hpp"
#include "strata/ops/rope.hpp"

namespace strata {
namespace {

View per_sequence(const View& heads, PassShape pass) {
  return heads.split_first(pass.B, pass.S);
}

double scale_of(const AttentionConfig& config) {
  return 1.0 / std::sqrt(static_cast<double>(config.hd));
}

}  // namespace

Attention::Saved Attention::take_saved(Arena& arena, const std::string& scope, const AttentionConfig& c, PassShape pass, DType type,
                                       Keep keep) {
  const DType wide = type == DType::f64 ? DType::f64 : DType::f32;
  Saved saved;
  saved.qkv = take(arena, scope + ".qkv", type, Shape{pass.R(), c.qkv_width()});
  saved.o = take(arena, scope + ".o", type, Shape{pass.R(), c.q_width()});
  saved.lse = take(arena, scope + ".lse", wide, Shape{pass.B, c.nh, pass.S});
  if (!c.head_norm) return saved;
  saved.rstd_q = take(arena, scope + ".rstd_q", wide, Shape{pass.R(), c.nh});
  saved.rstd_k = take(arena, scope + ".rstd_k", wide, Shape{pass.R(), c.nkv});
  if (keep == Keep::all) saved.qk = take(arena, scope + ".qk", type, Shape{pass.R(), c.q_width() + c.kv_width()});
  return saved;
}

Attention::Scratch Attention::take_scratch(Arena& arena, const AttentionConfig& c, PassShape pass, DType type, Keep keep, bool backward) {
  Scratch scratch;
  if (c.head_norm && keep == Keep::costly)
    scratch.qk = take(arena, "workspace.layer.qk", type, Shape{pass.R(), c.q_width() + c.kv_width()});
  if (!backward) return scratch;
  scratch.dqkv = take(arena, "workspace.layer.dqkv", type, Shape{pass.R(), c.qkv_width()});
  scratch.d_o = take(arena, "workspace.layer.d_o", type, Shape{pass.R(), c.q_width()});
  return scratch;
}

Attention::Attention(ParameterSet& set, const AttentionConfig& config, const std::string& scope)
    : config_(config),
      qkv_(set, {{scope + ".q_proj", config.q_width()}, {scope + ".k_proj", config.kv_width()}, {scope + ".v_proj", config.kv_width()}},
           config.H, config.qkv_bias),
      o_(set, {{scope + ".o_proj", config.H}}, config.q_width(), config.o_bias) {
  if (config.head_norm) norm_.emplace(set, scope, config.hd, config.eps);
}

Attention::Heads Attention::heads_of(View qkv) const {
  const AttentionConfig& c = config_;
  return {qkv.columns(0, c.q_width()).split_last(c.nh, c.hd), qkv.columns(c.q_width(), c.kv_width()).split_last(c.nkv, c.hd),
          qkv.columns(c.q_width() + c.kv_width(), c.kv_width()).split_last(c.nkv, c.hd)};
}

// q, k = rope(norm(q)), rope(norm(k)), or without the norm
void Attention::rotate(Context& context, const PositionViews& at, const Heads& x, const QueryKey& y, const QueryKey& rstd) const {
  if (norm_) return norm_->forward(context, x.qk(), at.rotary(), y, rstd);
  rope_forward(context.stream, x.q, at.cos, at.sin, at.positions, y.q);
  rope_forward(context.stream, x.k, at.cos, at.sin, at.positions, y.k);
}

// Queries and keys as attention sees them. With the head norm they are kept, or made in scratch and again in the backward pass; without it
// they are rotated in place, once.
Attention::Heads Attention::rotated(Context& context, const PositionViews& at, const Saved& saved, Scratch& scratch,
                                    bool first_time) const {
  const AttentionConfig& c = config_;
  const Heads before = heads_of(saved.qkv);
  Heads heads = before;
  if (c.head_norm) {
    const View qk = kept_or(saved.qk, scratch.qk);
    heads.q = qk.columns(0, c.q_width()).split_last(c.nh, c.hd), heads.k = qk.columns(c.q_width(), c.kv_width()).split_last(c.nkv, c.hd);
  }
  if (first_time || (c.head_norm && !saved.qk.given())) rotate(context, at, before, heads.qk(), {saved.rstd_q, saved.rstd_k});
  return heads;
}

void Attention::forward(Context& context, PassShape pass, const PositionViews& at, ConstView x, ConstView residual, Saved& saved,
                        Scratch& scratch, View y, KeyValueCache* cache) const {
  // q, k, v = W_q x, W_k x, W_v x, as one product
  qkv_.forward(context, x, ConstView(), saved.qkv);
  // q, k = rope(norm(q)), rope(norm(k))
  const Heads heads = rotated(context, at, saved, scratch, true);
  if (cache) {
    STRATA_ASSERT(pass.B == 1 && pass.S <= cache->keys.size(1), "a prefill of ", pass.B, " x ", pass.S, " tokens for a cache of ",
                  cache->keys.shape().str());
    store_rows(context.stream, heads.k, ConstView(), cache->keys), store_rows(context.stream, heads.v, ConstView(), cache->values);
  }
  // o = softmax(q k^T / sqrt(hd)) v
  attention_forward(context.stream, per_sequence(heads.q, pass), per_sequence(heads.k, pass), per_sequence(heads.v, pass), at.first_key,
                    scale_of(config_), per_sequence(saved.o.split_last(config_.nh, config_.hd), pass), saved.lse);
  // y = residual + W_o o
  o_.forward(context, saved.o, residual, y);
}

void Attention::backward(Context& context, PassShape pass, const PositionViews& at, ConstView dy, ConstView x, const Saved& saved,
                         Scratch& scratch, View dx) const {
  const auto sequences = [&](const View& heads) { return per_sequence(heads, pass); };
  // dW_o = dy^T o,  do = dy W_o
  o_.backward(context, dy, saved.o, scratch.d_o);
  // dq, dk, dv of the rotated heads
  const Heads heads = rotated(context, at, saved, scratch, false), d = heads_of(scratch.dqkv);
  attention_backward(context.stream, sequences(scratch.d_o.split_last(config_.nh, config_.hd)), sequences(heads.q), sequences(heads.k),
                     sequences(heads.v), sequences(View(saved.o).split_last(config_.nh, config_.hd)), saved.lse, at.first_key,
                     scale_of(config_), sequences(d.q), sequences(d.k), sequences(d.v));
  // back through the rotation, then the head norm
  if (norm_) {
    norm_->backward(context, d.qk(), heads_of(saved.qkv).qk(), {saved.rstd_q, saved.rstd_k}, at.rotary(), d.qk());
  } else {
    rope_backward(context.stream, d.q, at.cos, at.sin, at.positions, d.q);
    rope_backward(context.stream, d.k, at.cos, at.sin, at.positions, d.k);
  }
  // dW_qkv = dqkv^T x,  dx = dqkv W_qkv
  qkv_.backward(context, scratch.dqkv, x, dx);
}

void Attention::decode(Context& context, const PositionViews& at, ConstView lengths, ConstView x, ConstView residual, View qkv, View o,
                       View y, KeyValueCache& cache) const {
  qkv_.forward(context, x, ConstView(), qkv);
  const Heads heads = heads_of(qkv);
  rotate(context, at, heads, heads.qk(), {});
  store_rows(context.stream, heads.k, at.positions, cache.keys), store_rows(context.stream, heads.v, at.positions, cache.values);
  attention_decode(context.stream, heads.q, cache.keys.rows(0, x.size(0)), cache.values.rows(0, x.size(0)), lengths, scale_of(config_),
                   o.split_last(config_.nh, config_.hd));
  o_.forward(context, o, residual, y);
}

}  // namespace strata
