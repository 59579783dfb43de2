#pragma once
// Norm and rotation of queries and keys on the GPU; shapes and types are checked by the front (ops/qk_norm_rope.cpp).
#include <algorithm>

#include "ops/cpu/element.hpp"
#include "strata/ops/qk_norm_rope.hpp"

namespace strata::cuda {

/// Threads that share a head: each has a pack of its lower half and the pack that is turned with it, of the upper half.
inline int head_team(std::int64_t hd, DType type) {
  const std::int64_t pack = 16 / static_cast<std::int64_t>(size_of(type)), n = (hd / 2 + pack - 1) / pack;
  return n <= 8 ? 8 : n <= 16 ? 16 : 32;
}
constexpr int head_threads = 256;

/// Heads of one partial sum: about 1,056 sums in all, eight for each multiprocessor of an H200, whatever the GPU.
inline std::int64_t head_block(std::int64_t rows, std::int64_t hd, DType type) {
  const std::int64_t step = head_threads / head_team(hd, type);
  return (std::max<std::int64_t>(1, (rows + 1055) / 1056) + step - 1) / step * step;
}

/// Bytes of workspace of the backward pass: one partial dweight for each block of heads, of queries and then of keys.
inline std::int64_t qk_norm_rope_workspace(std::int64_t q_rows, std::int64_t k_rows, std::int64_t hd, DType type) {
  const std::int64_t block = head_block(q_rows + k_rows, hd, type);
  return ((q_rows + block - 1) / block + (k_rows + block - 1) / block) * hd * static_cast<std::int64_t>(size_of(cpu::sum_type(type)));
}
/// A position beyond the tables gives NaN.
void qk_norm_rope_forward(Stream& stream, const ConstQueryKey& x, const ConstQueryKey& weight, double eps, const Rotary& at,
                          const QueryKey& y, const QueryKey& rstd);
void qk_norm_rope_backward(Stream& stream, const ConstQueryKey& dy, const ConstQueryKey& x, const ConstQueryKey& weight,
                           const ConstQueryKey& rstd, const Rotary& at, const QueryKey& dx, const QueryKey& dweight, Write write,
                           void* workspace);

}  // namespace strata::cuda
