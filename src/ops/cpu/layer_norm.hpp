#pragma once
// Layer normalisation on the host; shapes and types are checked by the front (ops/layer_norm.cpp).
#include "ops/layer_norm_pass.hpp"
#include "strata/device/stream.hpp"

namespace strata::cpu {

void layer_norm_forward(Stream& stream, const LayerNormForward& pass);
/// Bytes of workspace: the parameters' gradients of each block of rows. The sums of dx need none.
std::int64_t layer_norm_workspace(std::int64_t rows, std::int64_t H, DType type, bool dx_sums);
void layer_norm_backward(Stream& stream, const LayerNormBackward& pass, void* workspace);

}  // namespace strata::cpu
