#pragma once
// Layer normalisation on the host; shapes and types are checked by the front (ops/layer_norm.cpp).
#include "strata/ops/layer_norm.hpp"

namespace strata::cpu {

/// Inputs and outputs of the forward pass, named as in strata/ops/layer_norm.hpp; residual and sum not given: y = layer_norm(x).
struct LayerNormForward {
  ConstView x, residual;
  Dropout what;
  ConstView weight, bias;
  double eps;
  View sum, y, mean, rstd;
};
void layer_norm_forward(Stream& stream, const LayerNormForward& pass);

/// Of the backward pass; dx, where given, is dropout(dsum).
struct LayerNormBackward {
  ConstView dy, x;
  Dropout what;
  ConstView weight, mean, rstd;
  View dsum, dx, dweight, dbias;
};
/// Bytes of workspace: the parameters' gradients of each block of rows.
std::int64_t layer_norm_workspace(std::int64_t rows, std::int64_t H, DType type);
void layer_norm_backward(Stream& stream, const LayerNormBackward& pass, void* workspace);

}  // namespace strata::cpu
