// One XXH3-128 per 4,096 elements, in the byte order the xxHash project prescribes for storage.
#include "checkpoint/block_hash.hpp"

#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "strata/checkpoint/format.hpp"

namespace strata {

void hash_blocks(const void* data, std::int64_t elements, std::size_t element_bytes, unsigned char* to) {
  const auto* from = static_cast<const unsigned char*>(data);
  for (std::int64_t first = 0; first < elements; first += checksum_elements, to += checksum_bytes) {
    const auto bytes = static_cast<std::size_t>(std::min(checksum_elements, elements - first)) * element_bytes;
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(from + static_cast<std::size_t>(first) * element_bytes, bytes));
    std::memcpy(to, canonical.digest, checksum_bytes);
  }
}

std::vector<unsigned char> hash_blocks(const void* data, std::int64_t elements, std::size_t element_bytes) {
  std::vector<unsigned char> result(static_cast<std::size_t>(checksum_blocks(elements) * checksum_bytes));
  hash_blocks(data, elements, element_bytes, result.data());
  return result;
}

}  // namespace strata
