// Launches: limits, and the blocks of a grid one after another.
#pragma once
#include <cstddef>
#include <string>

namespace emulation {

/// The kernel under way, or "".
const std::string& running_kernel();

inline constexpr std::size_t shared_default = 48 * 1024, shared_limit = 227 * 1024;  // [bytes] a block, without and with asking

}  // namespace emulation
