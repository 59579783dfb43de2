#pragma once
// Storing keys and values in the cache that decoding reads.
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// cache[r, positions[r]] = rows[r], bit for bit; positions not given: cache[0, r] = rows[r], a prefill of the first sequence.
/// [in] rows [R,nkv,hd], may be strided  [in] positions i32 [R], each in [0, C), or not given  [out] cache [B,C,nkv,hd], may be strided,
/// R <= B (R <= C for a prefill). dtype: f32, bf16, f64. Local.
void store_rows(Stream& stream, ConstView rows, ConstView positions, View cache);

}  // namespace strata
