#include "strata/layers/block.hpp"

namespace strata {

Block::Saved Block::take_saved(Arena& arena, const std::string& scope, const BlockConfig& config, PassShape pass, DType type, Keep keep) {
  const DType wide = type == DType::f64 ? DType::f64 : DType::f32;
  Saved saved;
  saved.attention = Attention::take_saved(arena, scope + ".attention", config.attention, pass, type, keep);
  saved.mlp = Mlp::take_saved(arena, scope + ".mlp", config.F, pass, type, keep);
  saved.x_mid = take(arena, scope + ".x_mid", type, Shape{pass.R(), config.attention.H});
  saved.rstd1 = take(arena, scope + ".rstd1", wide, Shape{pass.R()});
  saved.rstd2 = take(arena, scope + ".rstd2", wide, Shape{pass.R()});
  if (keep == Keep::costly) return saved;
  saved.normed1 = take(arena, scope + ".normed1", type, Shape{pass.R(), config.attention.H});
  saved.normed2 = take(arena, scope + ".normed2", type, Shape{pass.R(), config.attention.H});
  return saved;
}

std::vector<View> Block::Saved::views() const {
  std::vector<View> given;
  for (const View& view : {attention.qkv, attention.o, attention.lse, attention.rstd_q, attention.rstd_k, attention.qk, mlp.gate_up,
                           mlp.hidden, x_mid, rstd1, rstd2, normed1, normed2})
    if (view.given()) given.push_back(view);
  return given;
}

Block::Scratch Block::take_scratch(Arena& arena, const BlockConfig& config, PassShape pass, DType type, Keep keep, bool backward) {
  Scratch scratch;
  scratch.attention = Attention::take_scratch(arena, config.attention, pass, type, keep, backward);
  scratch.mlp = Mlp::take_scratch(arena, config.F, pass, type, keep, backward);
  scratch.normed = take(arena, "workspace.layer.normed", type, Shape{pass.R(), config.attention.H});
  if (backward) scratch.d_normed = take(arena, "workspace.layer.d_normed", type, Shape{pass.R(), config.attention.H});
  return scratch;
}

Block::DecodeScratch Block::take_decode_scratch(Arena& arena, const BlockConfig& config, std::int64_t B, DType type) {
  const auto scratch = [&](const char* name, std::int64_t width) {
    return take(arena, std::string("workspace.decode.") + name, type, Shape{B, width});
  };
  const AttentionConfig& a = config.attention;
  return {scratch("normed", a.H),           scratch("x_mid", a.H),      scratch("qkv", a.qkv_width()), scratch("o", a.q_width()),
          scratch("gate_up", 2 * config.F), scratch("hidden", config.F)};
}

Block::Block(ParameterSet& set, const BlockConfig& config, const std::string& scope)
    : norm1_(set, scope + ".input_layernorm", config.attention.H, config.attention.eps),
      attention_(set, config.attention, scope + ".self_attn"),
      norm2_(set, scope + ".post_attention_layernorm", config.attention.H, config.attention.eps),
      mlp_(set, config.attention.H, config.F, config.mlp_bias, scope + ".mlp") {}

void Block::forward(Context& context, PassShape pass, const PositionViews& at, ConstView x, Saved& saved, Scratch& scratch, View y,
                    KeyValueCache* cache) const {
  // x_mid = x + attention(norm1(x))
  const View &normed1 = kept_or(saved.normed1, scratch.normed), &normed2 = kept_or(saved.normed2, scratch.normed);
  norm1_.forward(context, x, normed1, saved.rstd1);
  attention_.forward(context, pass, at, normed1, x, saved.attention, scratch.attention, saved.x_mid, cache);
  // y = x_mid + mlp(norm2(x_mid))
  norm2_.forward(context, saved.x_mid, normed2, saved.rstd2);
  mlp_.forward(context, normed2, saved.x_mid, saved.mlp, scratch.mlp, y);
}

void Block::backward(Context& context, PassShape pass, const PositionViews& at, ConstView x, Saved& saved, Scratch& scratch,
                     View dy) const {
  // dx_mid = dy + norm2'(mlp'(dy)); the normed inputs are kept or made again
  if (!saved.normed2.given()) norm2_.forward(context, saved.x_mid, scratch.normed, View());
  mlp_.backward(context, dy, kept_or(saved.normed2, scratch.normed), saved.mlp, scratch.mlp, scratch.d_normed);
  norm2_.backward(context, scratch.d_normed, saved.x_mid, saved.rstd2, dy, Write::add);
  // dx = dx_mid + norm1'(attention'(dx_mid))
  if (!saved.normed1.given()) norm1_.forward(context, x, scratch.normed, View());
  attention_.backward(context, pass, at, dy, kept_or(saved.normed1, scratch.normed), saved.attention, scratch.attention, scratch.d_normed);
  norm1_.backward(context, scratch.d_normed, x, saved.rstd1, dy, Write::add);
}

void Block::decode(Context& context, const PositionViews& at, ConstView lengths, View x, DecodeScratch& scratch,
                   KeyValueCache& cache) const {
  const std::int64_t B = x.size(0);
  const auto first = [&](const View& view) { return view.rows(0, B); };
  norm1_.forward(context, x, first(scratch.normed), View());
  attention_.decode(context, at, lengths, first(scratch.normed), x, first(scratch.qkv), first(scratch.o), first(scratch.x_mid), cache);
  norm2_.forward(context, first(scratch.x_mid), first(scratch.normed), View());
  Mlp::Saved saved{first(scratch.gate_up), View()};
  Mlp::Scratch hidden{first(scratch.hidden), View()};
  mlp_.forward(context, first(scratch.normed), first(scratch.x_mid), saved, hidden, x);
}

}  // namespace strata
