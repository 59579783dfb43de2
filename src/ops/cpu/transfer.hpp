#pragma once
// Copies of bytes on the host, where device and host memory are the same thing; checked by the front (ops/transfer.cpp).
#include "strata/device/stream.hpp"

namespace strata::cpu {

void copy_bytes(Stream& stream, const void* from, void* to, std::int64_t bytes);

}  // namespace strata::cpu
