#include "strata/layers/mlp.hpp"

#include "strata/ops/swiglu.hpp"

namespace strata {

Mlp::Saved Mlp::take_saved(Arena& arena, const std::string& scope, std::int64_t F, PassShape pass, DType type) {
  return {take(arena, scope + ".gate_up", type, Shape{pass.R(), 2 * F})};
}

Mlp::Scratch Mlp::take_scratch(Arena& arena, std::int64_t F, PassShape pass, DType type, bool backward) {
  Scratch scratch;
  scratch.hidden = take(arena, "workspace.layer.hidden", type, Shape{pass.R(), F});
  if (backward) scratch.d_hidden = take(arena, "workspace.layer.d_hidden", type, Shape{pass.R(), F});
  return scratch;
}

Mlp::Mlp(ParameterSet& set, std::int64_t H, std::int64_t F, bool bias, const std::string& scope)
    : gate_up_(set, {{scope + ".gate_proj", F}, {scope + ".up_proj", F}}, H, bias), down_(set, {{scope + ".down_proj", H}}, F, bias) {}

void Mlp::forward(Context& context, ConstView x, ConstView residual, Saved& saved, Scratch& scratch, View y) const {
  // g, u = W_gate x, W_up x, as one product
  gate_up_.forward(context, x, ConstView(), saved.gate_up);
  // h = silu(g) * u
  swiglu_forward(context.stream, saved.gate_up, scratch.hidden);
  // y = residual + W_down h
  down_.forward(context, scratch.hidden, residual, y);
}

void Mlp::backward(Context& context, ConstView dy, ConstView x, Saved& saved, Scratch& scratch, View dx) const {
  // h again, cheaper than keeping it
  swiglu_forward(context.stream, saved.gate_up, scratch.hidden);
  // dW_down = dy^T h,  dh = dy W_down
  down_.backward(context, dy, scratch.hidden, scratch.d_hidden);
  // dg, du, over g and u
  swiglu_backward(context.stream, scratch.d_hidden, saved.gate_up, saved.gate_up);
  // dW_gate, dW_up, dx
  gate_up_.backward(context, saved.gate_up, x, dx);
}

}  // namespace strata
