#include "strata/layers/layer_norm.hpp"

namespace strata {

LayerNorm::Saved LayerNorm::take_saved(Arena& arena, const std::string& scope, std::int64_t R, std::int64_t H, DType type) {
  const DType wide = type == DType::f64 ? DType::f64 : DType::f32;
  return {take(arena, scope + ".x", type, Shape{R, H}), take(arena, scope + ".mean", wide, Shape{R}),
          take(arena, scope + ".rstd", wide, Shape{R})};
}

void LayerNorm::forward(Context& context, const Saved& saved, View y, bool statistics) const {
  layer_norm_forward(context.stream, saved.x, context.weights.parameter(weight_), context.weights.parameter(bias_), eps_, y,
                     statistics ? saved.mean : View(), statistics ? saved.rstd : View());
}

void LayerNorm::add_forward(Context& context, ConstView residual, const Dropout& what, const Saved& saved, View y) const {
  add_layer_norm_forward(context.stream, saved.x, residual, what, context.weights.parameter(weight_), context.weights.parameter(bias_),
                         eps_, saved.x, y, saved.mean, saved.rstd);
}

void LayerNorm::backward(Context& context, ConstView dy, const Saved& saved, View dx) const {
  layer_norm_backward(context.stream, dy, saved.x, context.weights.parameter(weight_), saved.mean, saved.rstd, dx,
                      context.gradients->parameter(weight_), context.gradients->parameter(bias_), context.write);
}

View LayerNorm::add_backward(Context& context, View dy, const Dropout& what, const Saved& saved, View dbranch, View dbias) const {
  add_layer_norm_backward(context.stream, dy, saved.x, what, context.weights.parameter(weight_), saved.mean, saved.rstd, dy,
                          what.drops() ? dbranch : View(), context.gradients->parameter(weight_), context.gradients->parameter(bias_),
                          dbias, context.write);
  return what.drops() ? dbranch : dy;
}

}  // namespace strata
