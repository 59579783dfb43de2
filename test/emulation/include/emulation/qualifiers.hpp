// CUDA's words for functions and variables, as a C++ compiler understands them.
#pragma once
#include <cassert>
#include <cstddef>
#include <cstdint>

#define STRATA_CUDA_EMULATED 1  // for the rare line that must differ

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __maxnreg__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) __attribute__((aligned(n)))

// Shared memory: blocks run one after another, so one copy serves. Every variable lies in a section of its own name, by which the run-time
// finds and poisons it before each block (a name per variable, as GCC lets templates and plain functions not share a section). An alignment
// stands before it: `alignas(16) __shared__ float tile[64];`, which nvcc takes as well.
#define STRATA_EMULATION_TEXT2(n) #n
#define STRATA_EMULATION_TEXT(n) STRATA_EMULATION_TEXT2(n)
#define __shared__ static __attribute__((section("strata_shared_" STRATA_EMULATION_TEXT(__COUNTER__)), aligned(16)))
