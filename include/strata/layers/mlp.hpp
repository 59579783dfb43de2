#pragma once
// Gated MLP with SwiGLU.
#include <string>

#include "strata/layers/projection.hpp"

namespace strata {

/// y = residual + W_down( silu(W_gate x) * (W_up x) ).  x, y, residual [R,H]; W_gate, W_up [F,H] as one product; W_down [H,F]. Local.
class Mlp {
 public:
  /// Kept from forward to backward: gate and up [R,2F]; the backward pass turns it into their gradient.
  struct Saved {
    View gate_up;
  };
  /// Shared by all layers: [R,F] twice (d_hidden in backward only).
  struct Scratch {
    View hidden, d_hidden;
  };
  static Saved take_saved(Arena& arena, const std::string& scope, std::int64_t F, PassShape pass, DType type);
  static Scratch take_scratch(Arena& arena, std::int64_t F, PassShape pass, DType type, bool backward);

  Mlp(ParameterSet& set, std::int64_t H, std::int64_t F, bool bias, const std::string& scope);
  void forward(Context& context, ConstView x, ConstView residual, Saved& saved, Scratch& scratch, View y) const;
  /// dx = gradient with respect to x (the residual's is dy itself).
  void backward(Context& context, ConstView dy, ConstView x, Saved& saved, Scratch& scratch, View dx) const;

 private:
  Projection gate_up_, down_;
};

}  // namespace strata
