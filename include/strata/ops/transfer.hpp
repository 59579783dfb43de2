#pragma once
// Copies between the device's memory and the host's, for tensors that wait there between uses.
#include "strata/device/stream.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// host = x, bit for bit. Cost: every byte read and written once.
/// [in] x on the device, [out] host in host memory; contiguous, one type (any), one shape; they do not overlap. In the stream's order: on
/// cpu done at once; a device may still be copying when this returns, and whoever overwrites x or reads `host` comes after it on the
/// stream. Local.
void copy_to_host(Stream& stream, ConstView x, View host);
/// x = host, bit for bit; the rest as above. Local.
void copy_to_device(Stream& stream, ConstView host, View x);

}  // namespace strata
