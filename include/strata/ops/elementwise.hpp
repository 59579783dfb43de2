#pragma once
// Element-wise work on flat stretches: fill, copy with conversion, sums, and the split of an fp32 master into bf16 and remainder.
#include <cstdint>
#include <span>

#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// y = value.  [out] y, contiguous, any floating type. Local.
void fill(Stream& stream, View y, double value);
/// y = x with conversion.  [in] x, [out] y, contiguous, equal element counts; f32, bf16, f64 in any pairing. Local.
void cast(Stream& stream, ConstView x, View y);
/// y += x, each rounded in the type of y.  f32 or f64, contiguous, equal types. Local.
void add_into(Stream& stream, View y, ConstView x);
/// weight = bf16(master) with ties upward, remainder = master bits - (weight bits << 16) as i16, so that join gives master back exactly
/// (design.md, master weights). Local.
void split_master(Stream& stream, ConstView master, View weight, View remainder);
/// master f32 = (weight bits << 16) + remainder. Local.
void join_master(Stream& stream, ConstView weight, ConstView remainder, View master);

/// partials[i] = sum of squares of elements [4096 i, 4096 (i+1)) of the flat x, in f64 in a fixed order: the terms of the gradient norm,
/// folded with fold() (tensor/fold.hpp).  [in] x f32 or f64, contiguous [n]  [out] partials f64 [ceil(n / 4096)]. Not finite where x is
/// not. Local.
void sum_of_squares(Stream& stream, ConstView x, View partials);
/// The same for parts of x that lie end to end, each cut into chunks of its own: part k ends at element ends[k], none is empty, the last
/// one ends at n. The partials of a part come after those of the part before. On a GPU one launch (of 32 parts each).
void sum_of_squares(Stream& stream, ConstView x, std::span<const std::int64_t> ends, View partials);

}  // namespace strata
