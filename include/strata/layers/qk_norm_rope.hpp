#pragma once
// Norm of query and key heads, then rotary positions.
#include <string>

#include "strata/layers/context.hpp"
#include "strata/ops/qk_norm_rope.hpp"

namespace strata {

/// y = rope(x / rms(x) * weight) over each head of queries and of keys. Local.
class QkNormRope {
 public:
  /// Registers "<scope>.q_norm.weight" and "<scope>.k_norm.weight" [head_size], ones.
  QkNormRope(ParameterSet& set, const std::string& scope, std::int64_t head_size, double eps)
      : q_(set.add(scope + ".q_norm.weight", Shape{head_size}, Init::ones)),
        k_(set.add(scope + ".k_norm.weight", Shape{head_size}, Init::ones)),
        eps_(eps) {}
  void forward(Context& context, const QueryKey& x, const Rotary& at, const QueryKey& y, const QueryKey& rstd) const {
    qk_norm_rope_forward(context.stream, x, weights(context), eps_, at, y, rstd);
  }
  /// dx may be dy.
  void backward(Context& context, const QueryKey& dy, const QueryKey& x, const QueryKey& rstd, const Rotary& at, const QueryKey& dx) const {
    qk_norm_rope_backward(context.stream, dy, x, weights(context), rstd, at, dx,
                          {context.gradients->parameter(q_), context.gradients->parameter(k_)}, context.write);
  }

 private:
  ConstQueryKey weights(const Context& context) const { return {context.weights.parameter(q_), context.weights.parameter(k_)}; }

  int q_, k_;
  double eps_;
};

}  // namespace strata
