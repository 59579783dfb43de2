#pragma once
// AdamW on the GPU; shapes and types are checked by the front (ops/adamw.cpp).
#include "strata/ops/adamw.hpp"

namespace strata::cuda {

void adamw_update(Stream& stream, const View& weight, const View& remainder, const ConstView& gradient, const View& exp_avg,
                  const View& exp_avg_sq, const AdamwStep& step, std::span<const AdamwSegment> segments);

}  // namespace strata::cuda
