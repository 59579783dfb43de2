#pragma once
// RMS norm of every query and key head, then rotary positions, in one pass: Qwen3's queries and keys.
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// The same thing of queries and of keys.
struct QueryKey {
  View q, k;
};
struct ConstQueryKey {
  ConstView q, k;
  ConstQueryKey(ConstView of_q, ConstView of_k) : q(of_q), k(of_k) {}
  ConstQueryKey(const QueryKey& both) : q(both.q), k(both.k) {}  // NOLINT: implicit as View to ConstView
};

/// Tables of rope_tables(), and the position of each row.
struct Rotary {
  ConstView cos, sin;   // [P, hd/2], f32 (f64)
  ConstView positions;  // i32 [R], each < P
};

/// y = rope(rms_norm(x) * weight) for queries and for keys, with the bits of rms_norm_forward and then rope_forward: what the norm gives is
/// rounded to the type of x before it is turned.
/// [in] x [R,nh,hd] and [R,nkv,hd], outer dimensions may be strided  [in] weight [hd] each  [out] y, shapes of x; may be x  [out] rstd
/// [R,nh] and [R,nkv], contiguous, f32 (f64), kept for the backward pass; may be not given. dtype x, y, weight: all f32, bf16 or f64. On a
/// GPU heads of up to 256, the bits those of both ops where hd is a power of two and a head has 32 to 512 bytes. Same bits on every run.
/// Local.
void qk_norm_rope_forward(Stream& stream, const ConstQueryKey& x, const ConstQueryKey& weight, double eps, const Rotary& at,
                          const QueryKey& y, const QueryKey& rstd);

/// dx (set) and dweight (=|+=) of both, with the bits of rope_backward and then rms_norm_backward: the gradient that is turned back is
/// rounded to the type of x. [in] dy, x as forward  [in] rstd as forward wrote it  [out] dx, shapes of x; may be dy  [out] dweight [hd]
/// each, f32 (f64): rows are summed in fixed blocks, folded in order. Local.
void qk_norm_rope_backward(Stream& stream, const ConstQueryKey& dy, const ConstQueryKey& x, const ConstQueryKey& weight,
                           const ConstQueryKey& rstd, const Rotary& at, const QueryKey& dx, const QueryKey& dweight,
                           Write write = Write::set);

}  // namespace strata
