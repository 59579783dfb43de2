#pragma once
// What one pass of layer normalisation takes, named as in strata/ops/layer_norm.hpp.
#include "strata/device/blas.hpp"
#include "strata/ops/dropout.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// Inputs and outputs of the forward pass; residual and sum not given: y = layer_norm(x).
struct LayerNormForward {
  ConstView x, residual;
  Dropout what;
  ConstView weight, bias;
  double eps;
  View sum, y, mean, rstd;
};

/// Of the backward pass; dx, where given, is dropout(dsum), and dx_sums the sums over rows of dx, or of dsum without it. `write`: gradients
/// of parameters, dx_sums among them.
struct LayerNormBackward {
  ConstView dy, x;
  Dropout what;
  ConstView weight, mean, rstd;
  View dsum, dx, dweight, dbias, dx_sums;
  Write write;
};

}  // namespace strata
