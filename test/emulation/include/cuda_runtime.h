// CUDA's run-time header as the host emulation has it: the language's words, the device functions and the host calls that Strata uses.
// What is missing here may be added; what is here has CUDA's name, signature and meaning. See doc/cuda-emulation.md.
#pragma once
#include "cuda_runtime_api.h"
#include "emulation/atomics.hpp"
#include "emulation/bits.hpp"
#include "emulation/math.hpp"
#include "emulation/qualifiers.hpp"
#include "emulation/threads.hpp"
#include "emulation/warp.hpp"
