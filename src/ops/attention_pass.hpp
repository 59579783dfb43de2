#pragma once
// The arguments of one attention, as the front gives them to the devices.
#include "strata/ops/dropout.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// Which pairs of query and key count, and what is dropped of their probabilities.
struct AttentionMask {
  bool causal = true;
  ConstView keys;  // causal: first_key [B,S]; else lengths [B]; may be not given
  Dropout what;
};

/// Inputs and outputs of the forward pass, named as in strata/ops/attention.hpp.
struct AttentionForward {
  ConstView q, k, v;
  AttentionMask mask;
  double scale;
  View o, lse;
};

/// Of the backward pass.
struct AttentionBackward {
  ConstView dout, q, k, v, o, lse;
  AttentionMask mask;
  double scale;
  View dq, dk, dv;
};

}  // namespace strata
