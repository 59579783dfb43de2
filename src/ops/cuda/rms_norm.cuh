#pragma once
// RMS normalisation of a pack, as the kernels that hold it share it.
#include "device/cuda/element.cuh"
#include "ops/cuda/exact.cuh"

namespace strata::cuda {

template <class T>
__device__ __forceinline__ T scaled(T x, SumOf<T> rstd, T weight) {
  return narrow<T>(product(widen(narrow<T>(product(widen(x), rstd))), widen(weight)));
}

/// One pack of one row: dx and what it adds to dweight.
template <class T>
__device__ __forceinline__ Pack<T> backward_pack(const Pack<T>& dy, const Pack<T>& x, const Pack<T>& weight, const Pack<T>& old,
                                                 SumOf<T> rstd, SumOf<T> mean, bool add, SumOf<T> (&dweight)[pack_size<T>]) {
  using S = SumOf<T>;
  Pack<T> dx;
#pragma unroll
  for (int e = 0; e < pack_size<T>; ++e) {
    const S d = widen(dy.of[e]), hat = product(widen(x.of[e]), rstd), g = product(d, widen(weight.of[e]));
    dweight[e] = fused(d, hat, dweight[e]);
    const S value = product(rstd, fused(-hat, mean, g));
    dx.of[e] = narrow<T>(add ? sum(widen(old.of[e]), value) : value);
  }
  return dx;
}

}  // namespace strata::cuda
