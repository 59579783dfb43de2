// The host calls of CUDA's run-time library, for sources without kernels.
#pragma once
#include "emulation/host_types.hpp"
#include "emulation/host_calls.hpp"
#include "emulation/qualifiers.hpp"
#include "emulation/vector_types.hpp"
