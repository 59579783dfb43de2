#pragma once
// RMS norm layer, over the hidden size or over each head.
#include <string>

#include "strata/layers/context.hpp"
#include "strata/ops/rms_norm.hpp"

namespace strata {

/// y = x / rms(x) * weight over the last dimension of x. Local.
class Norm {
 public:
  /// Registers "<name>.weight" [size], ones.
  Norm(ParameterSet& set, const std::string& name, std::int64_t size, double eps)
      : weight_(set.add(name + ".weight", Shape{size}, Init::ones)), eps_(eps) {}
  void forward(Context& context, ConstView x, View y, View rstd) const {
    rms_norm_forward(context.stream, x, context.weights.parameter(weight_), eps_, y, rstd);
  }
  void backward(Context& context, ConstView dy, ConstView x, ConstView rstd, View dx, Write write_dx) const {
    rms_norm_backward(context.stream, dy, x, context.weights.parameter(weight_), rstd, dx, write_dx, context.gradients->parameter(weight_),
                      context.write);
  }

 private:
  int weight_;
  double eps_;
};

}  // namespace strata
