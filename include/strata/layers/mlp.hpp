#pragma once
// Gated MLP with SwiGLU.
#include <string>

#include "strata/layers/projection.hpp"

namespace strata {

/// y = residual + W_down( silu(W_gate x) * (W_up x) ).  x, y, residual [R,H]; W_gate, W_up [F,H] as one product; W_down [H,F]. Local.
class Mlp {
 public:
  /// Kept from forward to backward.
  struct Saved {
    View gate_up;  // [R,2F]; the backward pass turns it into its gradient
    View hidden;   // [R,F] silu(gate) * up; not given: made again in scratch
  };
  /// Shared by all layers: [R,F] each (hidden where it is not kept; d_hidden in backward only).
  struct Scratch {
    View hidden, d_hidden;
  };
  static Saved take_saved(Arena& arena, const std::string& scope, std::int64_t F, PassShape pass, DType type, Keep keep);
  static Scratch take_scratch(Arena& arena, std::int64_t F, PassShape pass, DType type, Keep keep, bool backward);

  Mlp(ParameterSet& set, std::int64_t H, std::int64_t F, bool bias, const std::string& scope);
  /// y not given: computes only what `saved` keeps.
  void forward(Context& context, ConstView x, ConstView residual, Saved& saved, Scratch& scratch, View y) const;
  /// dx = gradient with respect to x (the residual's is dy itself).
  void backward(Context& context, ConstView dy, ConstView x, Saved& saved, Scratch& scratch, View dx) const;

 private:
  Projection gate_up_, down_;
};

}  // namespace strata
