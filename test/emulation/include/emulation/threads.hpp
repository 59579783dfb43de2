// Who a thread is, and where the threads of a block wait for one another.
#pragma once
#include "emulation/vector_types.hpp"

// Constant while a thread looks at them: the run-time changes them when it turns to another thread.
extern const uint3 threadIdx;
extern const uint3 blockIdx;
extern const dim3 blockDim;
extern const dim3 gridDim;
inline constexpr int warpSize = 32;

void __syncthreads();
int __syncthreads_or(int predicate);
int __syncthreads_and(int predicate);
int __syncthreads_count(int predicate);

// One thread runs at a time, so memory is always in order; what a missing fence would break shows on a GPU only.
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __nanosleep(unsigned int) {}
[[noreturn]] void __trap();

long long int clock64();  // nanoseconds here
