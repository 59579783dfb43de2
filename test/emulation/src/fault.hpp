// Says what went wrong before the process ends.
#pragma once

namespace emulation {

/// From now on a touch of device memory by the host, a kernel's access outside its memory and its overflown stack are named on stderr.
void watch_faults();

}  // namespace emulation
