#pragma once
// Layer norm with its parameters, alone and behind dropout and residual.
#include <string>

#include "strata/layers/context.hpp"
#include "strata/ops/layer_norm.hpp"

namespace strata {

/// y = (x - mean) / sqrt(variance + eps) * weight + bias over the last dimension of x. Local.
class LayerNorm {
 public:
  /// What the backward pass reads: the input, or the sum that add_forward makes of its two; mean and rstd f32 (f64) [R].
  struct Saved {
    View x, mean, rstd;
  };
  static Saved take_saved(Arena& arena, const std::string& scope, std::int64_t R, std::int64_t H, DType type);

  /// Registers "<name>.weight" [size], ones, and "<name>.bias" [size], zeros.
  LayerNorm(ParameterSet& set, const std::string& name, std::int64_t size, double eps)
      : weight_(set.add(name + ".weight", Shape{size}, Init::ones)), bias_(set.add(name + ".bias", Shape{size}, Init::zeros)), eps_(eps) {}

  /// y = norm(saved.x). Without `statistics` only y is written: the pass has been here before.
  void forward(Context& context, const Saved& saved, View y, bool statistics = true) const;
  /// saved.x = residual + dropout(saved.x),  y = norm(saved.x).
  void add_forward(Context& context, ConstView residual, const Dropout& what, const Saved& saved, View y) const;
  /// dx = gradient with respect to saved.x; may be dy.
  void backward(Context& context, ConstView dy, const Saved& saved, View dx) const;
  /// dy becomes the residual's gradient in place; the branch's goes to dbranch where something drops, elsewhere it is dy too. Returns
  /// where the branch's is; its sums over rows go to `dbias`, the gradient of the bias of the projection before.
  View add_backward(Context& context, View dy, const Dropout& what, const Saved& saved, View dbranch, View dbias) const;

 private:
  int weight_, bias_;
  double eps_;
};

}  // namespace strata
