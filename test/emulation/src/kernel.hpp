// Launches: limits, and the blocks of a grid one after another.
#pragma once
#include <cstddef>
#include <string>

namespace emulation {

/// The kernel under way, or "".
const std::string& running_kernel();

inline constexpr std::size_t shared_default = 48 * 1024, most_shared = 227 * 1024;  // [bytes] a block, without asking and on any card

/// Shared memory that a block of this card may ask for: 99, 163 or 227 KiB. [bytes]
std::size_t shared_limit();

}  // namespace emulation
