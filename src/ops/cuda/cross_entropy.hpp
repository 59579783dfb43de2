#pragma once
// The head with its loss on the GPU; shapes and types are checked by the front (ops/cross_entropy.cpp).
#include <algorithm>
#include <bit>

#include "strata/device/blas.hpp"
#include "strata/ops/factor.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cuda {

/// Rows whose logits exist at once: about 2 GiB of them, a power of two in 256 .. 4096. Large, because every chunk reads and writes the
/// whole gradient of the weight.
inline std::int64_t cross_entropy_chunk(std::int64_t V, DType type) {
  const auto fitting = static_cast<std::uint64_t>((std::int64_t{1} << 31) / static_cast<std::int64_t>(size_of(type)) / V);
  return std::clamp<std::int64_t>(static_cast<std::int64_t>(std::bit_floor(fitting)), 256, 4096);
}
/// Elements between the rows of logits.
inline std::int64_t cross_entropy_stride(std::int64_t V) {
  return (V + 63) / 64 * 64;
}
/// Bytes of workspace for R rows: their logits, in the type of x.
inline std::int64_t cross_entropy_workspace(std::int64_t R, std::int64_t V, DType type) {
  return std::min(R, cross_entropy_chunk(V, type)) * cross_entropy_stride(V) * static_cast<std::int64_t>(size_of(type));
}

void linear_cross_entropy_forward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& labels,
                                  const View& row_loss, void* workspace);
void linear_cross_entropy_backward(Stream& stream, const ConstView& x, const ConstView& weight, const ConstView& labels,
                                   const Factor& scale, const View& row_loss, const View& dx, const View& dweight, Write write,
                                   void* workspace);

}  // namespace strata::cuda
