// The cache of keys and values on the host: heads copied.
#include "ops/cpu/kv_cache.hpp"

#include <cstring>

namespace strata::cpu {

void store_rows(Stream&, const ConstView& rows, const ConstView& positions, const View& cache) {
  const auto element = static_cast<std::int64_t>(size_of(rows.type()));
  const auto* position = positions.given() ? positions.as<const std::int32_t>() : nullptr;
  for (std::int64_t r = 0; r < rows.size(0); ++r) {
    const std::int64_t sequence = position ? r : 0, at = position ? position[r] : r;
    STRATA_ASSERT(at >= 0 && at < cache.size(1), "store_rows: row ", r, " for position ", at, " of a cache of ", cache.size(1));
    for (std::int64_t h = 0; h < rows.size(1); ++h)
      std::memcpy(
          static_cast<unsigned char*>(cache.data()) + (sequence * cache.stride(0) + at * cache.stride(1) + h * cache.stride(2)) * element,
          static_cast<const unsigned char*>(rows.data()) + (r * rows.stride(0) + h * rows.stride(1)) * element,
          static_cast<std::size_t>(rows.size(2) * element));
  }
}

}  // namespace strata::cpu
