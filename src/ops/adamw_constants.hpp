#pragma once
// The constants of one AdamW update, the same on every device.
#include <cmath>

#include "strata/ops/adamw.hpp"

namespace strata {

/// Computed in double and rounded once.
template <class Sum>
struct AdamwConstants {
  Sum decay, beta1, beta2, rest1, rest2, rate, root, eps, scale;

  explicit AdamwConstants(const AdamwStep& s)
      : decay(static_cast<Sum>(1 - s.lr * s.weight_decay)),
        beta1(static_cast<Sum>(s.beta1)),
        beta2(static_cast<Sum>(s.beta2)),
        rest1(static_cast<Sum>(1 - s.beta1)),
        rest2(static_cast<Sum>(1 - s.beta2)),
        rate(static_cast<Sum>(s.lr / (1 - std::pow(s.beta1, static_cast<double>(s.t))))),
        root(static_cast<Sum>(1 / std::sqrt(1 - std::pow(s.beta2, static_cast<double>(s.t))))),
        eps(static_cast<Sum>(s.eps)),
        scale(static_cast<Sum>(s.gradient_scale)) {}
};

}  // namespace strata
