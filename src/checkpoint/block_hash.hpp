#pragma once
// Private to checkpoint: checksums of consecutive blocks of a flat tensor.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace strata {

/// The bytes handled at a time while writing and reading; a whole number of blocks for every element size.
inline constexpr std::int64_t transfer_bytes = std::int64_t{8} << 20;

/// Writes XXH3-128 (canonical) of each block of checksum_elements elements to `to`; the last block may be shorter.
void hash_blocks(const void* data, std::int64_t elements, std::size_t element_bytes, unsigned char* to);
std::vector<unsigned char> hash_blocks(const void* data, std::int64_t elements, std::size_t element_bytes);

}  // namespace strata
