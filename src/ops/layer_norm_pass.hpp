#pragma once
// What one pass of layer normalisation takes, named as in strata/ops/layer_norm.hpp.
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

/// Of the backward pass; dx, where given, is dropout(dsum).
struct LayerNormBackward {
  ConstView dy, x;
  Dropout what;
  ConstView weight, mean, rstd;
  View dsum, dx, dweight, dbias;
};

}  // namespace strata
