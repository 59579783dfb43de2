#pragma once
// Rotation of a pair, as the kernels that hold it share it.
#include "device/cuda/element.cuh"
#include "ops/cuda/exact.cuh"

namespace strata::cuda {

/// (a, b) -> (a cos - b sin, b cos + a sin); every operation rounded by itself, as on the host.
template <class T>
__device__ __forceinline__ void turn_pair(T a, T b, SumOf<T> cos, SumOf<T> sin, T& low, T& up) {
  const SumOf<T> p = widen(a), q = widen(b);
  low = narrow<T>(difference(product(p, cos), product(q, sin)));
  up = narrow<T>(sum(product(q, cos), product(p, sin)));
}

}  // namespace strata::cuda
