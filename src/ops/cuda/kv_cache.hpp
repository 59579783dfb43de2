#pragma once
// The cache of keys and values on the GPU; shapes and types are checked by the front (ops/kv_cache.cpp). A row for a position outside the
// cache is left out.
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata::cuda {

void store_rows(Stream& stream, const ConstView& rows, const ConstView& positions, const View& cache);

}  // namespace strata::cuda
