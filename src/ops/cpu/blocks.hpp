#pragma once
// Flat stretches cut into blocks of fixed size, shared among the threads.
#include <algorithm>
#include <cstdint>

#include "strata/device/stream.hpp"

namespace strata::cpu {

/// Calls work(first, last) for blocks of 16,384 elements that cover [0, n).
template <class Work>
void for_blocks(Stream& stream, std::int64_t n, Work&& work) {
  constexpr std::int64_t block = 16384;
  stream.pool().run((n + block - 1) / block, [&](std::int64_t task, int) { work(task * block, std::min(n, (task + 1) * block)); });
}

}  // namespace strata::cpu
