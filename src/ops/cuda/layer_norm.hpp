#pragma once
// Layer normalisation on the GPU; shapes and types are checked by the front (ops/layer_norm.cpp).
#include "ops/cpu/element.hpp"
#include "ops/cuda/teams.hpp"
#include "ops/layer_norm_pass.hpp"
#include "strata/device/stream.hpp"

namespace strata::cuda {

void layer_norm_forward(Stream& stream, const LayerNormForward& pass);
/// Bytes of workspace: the parameters' gradients of each block of rows, and the sums of dx.
inline std::int64_t layer_norm_workspace(std::int64_t rows, std::int64_t H, DType type, bool dx_sums) {
  return row_blocks(rows, teams_for(H, type)) * (dx_sums ? 3 : 2) * H * static_cast<std::int64_t>(size_of(cpu::sum_type(type)));
}
void layer_norm_backward(Stream& stream, const LayerNormBackward& pass, void* workspace);

}  // namespace strata::cuda
