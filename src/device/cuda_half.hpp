#pragma once
// Whether the CUDA half is there.

namespace strata {

/// Whether there is a file to load it from, usable or not; also where STRATA_CUDA_LIBRARY names one that is not there.
bool cuda_half_installed();

}  // namespace strata
