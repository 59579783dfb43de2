#include "strata/layers/projection.hpp"

#include "strata/ops/linear.hpp"

namespace strata {

Projection::Projection(ParameterSet& set, const std::vector<ProjectionPart>& parts, std::int64_t K, bool bias) : K_(K) {
  for (const ProjectionPart& part : parts) {
    const int p = set.add(part.name + ".weight", Shape{part.rows, K}, Init::normal);
    if (weight_ < 0) weight_ = p;
    N_ += part.rows;
  }
  if (!bias) return;
  for (const ProjectionPart& part : parts) {
    const int p = set.add(part.name + ".bias", Shape{part.rows}, Init::zeros);
    if (bias_ < 0) bias_ = p;
  }
}

void Projection::forward(Context& context, ConstView x, ConstView residual, View y) const {
  const ConstView bias = bias_ < 0 ? ConstView() : ConstView(context.weights.fused(bias_, Shape{N_}));
  linear_forward(context.stream, x, context.weights.fused(weight_, Shape{N_, K_}), bias, residual, y);
}

View Projection::bias_gradient(const Context& context) const {
  return bias_ < 0 ? View() : context.gradients->fused(bias_, Shape{N_});
}

void Projection::backward(Context& context, ConstView dy, ConstView x, View dx, Write write_dx, BiasGradient bias) const {
  const View dbias = bias == BiasGradient::here ? bias_gradient(context) : View();
  linear_backward_weight(context.stream, dy, x, context.gradients->fused(weight_, Shape{N_, K_}), dbias, context.write);
  linear_backward_input(context.stream, dy, context.weights.fused(weight_, Shape{N_, K_}), dx, write_dx);
}

}  // namespace strata
