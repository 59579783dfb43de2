// The emulation's stand-in for Strata's src/device/cuda/ptx.cuh: PTX instructions as functions.
#pragma once
#include <cuda_runtime.h>

#include "emulation/run.hpp"

namespace strata::cuda {

/// The block's dynamic shared memory, aligned to 128 bytes.
template <class T>
T* dynamic_shared() {
  return static_cast<T*>(emulation::dynamic_shared_memory());
}

/// d += a b over a warp; fragments as PTX's mma.sync.aligned.m16n8k16.row.col and m16n8k8 have them. Sums in f32, over rising k.
void mma_bf16_16x8x16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]);
void mma_f16_16x8x16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]);
void mma_tf32_16x8x8(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]);

/// Loads 8x8 matrices of 16-bit elements from shared memory; lanes 8i to 8i+7 give the rows of matrix i (for x2, lanes 0 to 15).
void ldmatrix_x4(unsigned (&r)[4], const void* row);
void ldmatrix_x4_trans(unsigned (&r)[4], const void* row);
void ldmatrix_x2(unsigned (&r)[2], const void* row);
void ldmatrix_x2_trans(unsigned (&r)[2], const void* row);

/// Asynchronous copies of 16 bytes: here they happen in the wait that covers them, and the target is poison until then.
inline void cp_async_16(void* shared, const void* global) {
  emulation::cp_async(shared, global, true);
}
inline void cp_async_16_zfill(void* shared, const void* global, bool valid) {
  emulation::cp_async(shared, global, valid);
}
inline void cp_async_commit() {
  emulation::cp_async_commit();
}
/// Returns when at most N of the thread's committed groups are still under way.
template <int N>
void cp_async_wait() {
  emulation::cp_async_wait(N);
}

/// 2^x, subnormal arguments and results taken as zero.
float exp2_approx(float x);

/// Barrier `id` of the block, for `threads` threads: wait there, or only be counted.
inline void named_barrier_sync(int id, int threads) {
  emulation::named_barrier(id, threads, true);
}
inline void named_barrier_arrive(int id, int threads) {
  emulation::named_barrier(id, threads, false);
}

}  // namespace strata::cuda
