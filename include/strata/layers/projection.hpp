#pragma once
// Projection: one or several linear maps of the same input, computed as one product; stored under their separate names.
#include <string>
#include <vector>

#include "strata/device/blas.hpp"
#include "strata/layers/context.hpp"

namespace strata {

/// One stored matrix [rows, K] of a projection.
struct ProjectionPart {
  std::string name;  // "model.layers.3.self_attn.q_proj"
  std::int64_t rows = 0;
};

/// Who makes the gradient of a projection's bias: its backward pass, or the op that has made dy.
enum class BiasGradient { here, made };

/// y = x W^T (+ b) (+ residual), W [N,K] the parts' matrices end to end, N the sum of their rows. x [R,K], y [R,N]. Local.
class Projection {
 public:
  /// Registers "<part>.weight" for each part, then "<part>.bias" for each with `bias`.
  Projection(ParameterSet& set, const std::vector<ProjectionPart>& parts, std::int64_t K, bool bias);
  void forward(Context& context, ConstView x, ConstView residual, View y) const;
  /// dW = dy^T x,  db = column sums of dy,  dx (=|+=) dy W.
  void backward(Context& context, ConstView dy, ConstView x, View dx, Write write_dx = Write::set,
                BiasGradient bias = BiasGradient::here) const;
  /// db, for the op that makes dy and sums it in the same pass.
  View bias_gradient(const Context& context) const;
  std::int64_t outputs() const { return N_; }

 private:
  int weight_ = -1, bias_ = -1;
  std::int64_t N_ = 0, K_ = 0;
};

}  // namespace strata
