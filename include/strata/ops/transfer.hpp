#pragma once
// Copies between the device's memory and the host's, for tensors that wait there between uses. On a GPU they go on beside the stream's
// work, each direction on a queue of its own; who depends on them says so by marks. On the host they are done at once, and marks are empty.
#include <initializer_list>
#include <span>

#include "strata/device/gpu.hpp"
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// A tensor on the device and its place in host memory: contiguous, one type (any), one shape; they do not overlap.
struct HostCopy {
  View here, host;
};

/// Begins host = here, bit for bit, for each: behind all that was given to the stream, and behind earlier copies of this direction. Whoever
/// overwrites `here` or reads `host` comes after the mark. Cost: every byte read and written once. Local.
GpuMark begin_copy_to_host(Stream& stream, std::span<const HostCopy> copies);
/// Begins here = host, behind the marks `after` (where `host` is written, where `here` is not used any more) and earlier copies of this
/// direction, but not behind the stream's work. Whoever reads `here` or overwrites `host` comes after the mark. Local.
GpuMark begin_copy_to_device(Stream& stream, std::span<const HostCopy> copies, std::initializer_list<GpuMark> after);

/// Where the stream's work is now.
GpuMark mark_of(Stream& stream);
/// What is given to the stream from now on comes after the mark. Does not wait.
void follow(Stream& stream, const GpuMark& mark);
/// Returns when the mark is reached: for the host, which is about to use its memory itself.
void wait_for(Stream& stream, const GpuMark& mark);

}  // namespace strata
