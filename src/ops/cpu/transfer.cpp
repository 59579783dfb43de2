// Copies of bytes on the host: fixed blocks, taken by the threads.
#include "ops/cpu/transfer.hpp"

#include <algorithm>
#include <cstring>

namespace strata::cpu {
namespace {
constexpr std::int64_t block_bytes = std::int64_t{1} << 18;
}

void copy_bytes(Stream& stream, const void* from, void* to, std::int64_t bytes) {
  stream.pool().run((bytes + block_bytes - 1) / block_bytes, [=](std::int64_t block, int) {
    const std::int64_t first = block * block_bytes, count = std::min(block_bytes, bytes - first);
    std::memcpy(static_cast<unsigned char*>(to) + first, static_cast<const unsigned char*>(from) + first, static_cast<std::size_t>(count));
  });
}

}  // namespace strata::cpu
