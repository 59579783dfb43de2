#pragma once
// Norm and rotation of queries and keys on the host; shapes and types are checked by the front (ops/qk_norm_rope.cpp).
#include "strata/ops/qk_norm_rope.hpp"

namespace strata::cpu {

/// Bytes of workspace of the backward pass for so many rows of queries and of keys: one partial dweight for each block of rows.
std::int64_t qk_norm_rope_workspace(std::int64_t q_rows, std::int64_t k_rows, std::int64_t hd, DType type);
void qk_norm_rope_forward(Stream& stream, const ConstQueryKey& x, const ConstQueryKey& weight, double eps, const Rotary& at,
                          const QueryKey& y, const QueryKey& rstd);
void qk_norm_rope_backward(Stream& stream, const ConstQueryKey& dy, const ConstQueryKey& x, const ConstQueryKey& weight,
                           const ConstQueryKey& rstd, const Rotary& at, const QueryKey& dx, const QueryKey& dweight, Write write,
                           void* workspace);

}  // namespace strata::cpu
