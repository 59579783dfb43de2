#include "strata/layers/mlp.hpp"

#include "strata/ops/swiglu.hpp"

namespace strata {

Mlp::Saved Mlp::take_saved(Arena& arena, const std::string& scope, std::int64_t F, PassShape pass, DType type, Keep keep) {
  Saved saved;
  saved.gate_up = take(arena, scope + ".gate_up", type, Shape{pass.R(), 2 * F});
  if (keep == Keep::all) saved.hidden = take(arena, scope + ".hidden", type, Shape{pass.R(), F});
  return saved;
}

Mlp::Scratch Mlp::take_scratch(Arena& arena, std::int64_t F, PassShape pass, DType type, Keep keep, bool backward) {
  Scratch scratch;
  if (keep == Keep::costly) scratch.hidden = take(arena, "workspace.layer.hidden", type, Shape{pass.R(), F});
  if (backward) scratch.d_hidden = take(arena, "workspace.layer.d_hidden", type, Shape{pass.R(), F});
  return scratch;
}

Mlp::Mlp(ParameterSet& set, std::int64_t H, std::int64_t F, bool bias, const std::string& scope)
    : gate_up_(set, {{scope + ".gate_proj", F}, {scope + ".up_proj", F}}, H, bias), down_(set, {{scope + ".down_proj", H}}, F, bias) {}

void Mlp::forward(Context& context, ConstView x, ConstView residual, Saved& saved, Scratch& scratch, View y) const {
  // g, u = W_gate x, W_up x, as one product
  gate_up_.forward(context, x, ConstView(), saved.gate_up);
  // h = silu(g) * u
  const View& hidden = kept_or(saved.hidden, scratch.hidden);
  swiglu_forward(context.stream, saved.gate_up, hidden);
  // y = residual + W_down h
  if (y.given()) down_.forward(context, hidden, residual, y);
}

void Mlp::backward(Context& context, ConstView dy, ConstView x, Saved& saved, Scratch& scratch, View dx) const {
  // h, kept or made again
  const View& hidden = kept_or(saved.hidden, scratch.hidden);
  if (!saved.hidden.given()) swiglu_forward(context.stream, saved.gate_up, hidden);
  // dW_down = dy^T h,  dh = dy W_down
  down_.backward(context, dy, hidden, scratch.d_hidden);
  // dg, du, over g and u
  swiglu_backward(context.stream, scratch.d_hidden, saved.gate_up, saved.gate_up);
  // dW_gate, dW_up, dx
  gate_up_.backward(context, saved.gate_up, x, dx);
}

}  // namespace strata
