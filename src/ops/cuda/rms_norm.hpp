#pragma once
// RMS normalisation on the GPU; shapes and types are checked by the front (ops/rms_norm.cpp).
#include "ops/cpu/element.hpp"
#include "ops/cuda/teams.hpp"
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cuda {

/// Bytes of workspace of the backward pass: one partial dweight for each block of rows.
inline std::int64_t rms_norm_workspace(std::int64_t rows, std::int64_t H, DType type) {
  return row_blocks(rows, teams_for(H, type)) * H * static_cast<std::int64_t>(size_of(cpu::sum_type(type)));
}
void rms_norm_forward(Stream& stream, const ConstView& x, const ConstView& weight, double eps, const View& y, const View& rstd);
void rms_norm_backward(Stream& stream, const ConstView& dy, const ConstView& x, const ConstView& weight, const ConstView& rstd,
                       const View& dx, Write write_dx, const View& dweight, Write write_dweight, void* workspace);

}  // namespace strata::cuda
