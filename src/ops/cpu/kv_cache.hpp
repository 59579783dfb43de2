#pragma once
// The cache of keys and values on the host; shapes and types are checked by the front (ops/kv_cache.cpp).
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cpu {

void store_rows(Stream& stream, const ConstView& rows, const ConstView& positions, const View& cache);

}  // namespace strata::cpu
