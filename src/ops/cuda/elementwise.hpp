#pragma once
// Element-wise work on the GPU; shapes and types are checked by the front (ops/elementwise.cpp).
#include <cstdint>
#include <span>

#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cuda {

void fill(Stream& stream, const View& y, double value);
void cast(Stream& stream, const ConstView& x, const View& y);
void add_into(Stream& stream, const View& y, const ConstView& x);
void split_master(Stream& stream, const ConstView& master, const View& weight, const View& remainder);
void join_master(Stream& stream, const ConstView& weight, const ConstView& remainder, const View& master);
void sum_of_squares(Stream& stream, const ConstView& x, std::span<const std::int64_t> ends, const View& partials);

}  // namespace strata::cuda
