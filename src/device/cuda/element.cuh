#pragma once
// Element types of kernels: conversions, wide loads, and the step from DType to a C++ type.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <type_traits>

#include "strata/base/dtype.hpp"
#include "strata/base/error.hpp"

namespace strata::cuda {

using bf16 = __nv_bfloat16;
using f16 = __half;

/// The type in which a kernel computes: float for float, bf16 and f16, double for double.
template <class T>
using SumOf = std::conditional_t<std::is_same_v<T, double>, double, float>;

__device__ __forceinline__ float widen(float x) {
  return x;
}
__device__ __forceinline__ double widen(double x) {
  return x;
}
__device__ __forceinline__ float widen(bf16 x) {
  return __bfloat162float(x);
}
__device__ __forceinline__ float widen(f16 x) {
  return __half2float(x);
}

/// One rounding, to nearest even.
template <class T>
__device__ __forceinline__ T narrow(SumOf<T> x) {
  if constexpr (std::is_same_v<T, bf16>)
    return __float2bfloat16_rn(x);
  else if constexpr (std::is_same_v<T, f16>)
    return __float2half_rn(x);
  else
    return x;
}

/// Elements of T in 16 bytes: what a thread reads or writes at once.
template <class T>
constexpr int pack_size = 16 / static_cast<int>(sizeof(T));

/// 16 bytes of T, loaded and stored whole. Addresses must be 16-byte aligned.
template <class T>
struct alignas(16) Pack {
  T of[pack_size<T>];
};
template <class T>
__device__ __forceinline__ Pack<T> load_pack(const T* from) {
  return *reinterpret_cast<const Pack<T>*>(from);
}
template <class T>
__device__ __forceinline__ void store_pack(T* to, const Pack<T>& pack) {
  *reinterpret_cast<Pack<T>*>(to) = pack;
}
/// Whether rows that begin at `data`, `stride` elements apart, of `width` elements can be read by packs.
template <class T>
bool packs(const T* data, std::int64_t stride, std::int64_t width) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && stride % pack_size<T> == 0 && width % pack_size<T> == 0;
}

/// Calls f(T{}) with T = float, bf16, f16 or double. Throws InternalError for another type.
template <class F>
void with_float_type(const char* op, DType type, F&& f) {
  switch (type) {
    case DType::f32:
      return f(float{});
    case DType::bf16:
      return f(bf16{});
    case DType::f16:
      return f(f16{});
    case DType::f64:
      return f(double{});
    default:
      throw InternalError(text(op, ": works on f32, bf16, f16 and f64, found ", name_of(type)));
  }
}

/// The memory of a view as T, which is the device's type of the view's.
template <class T, class AnyView>
auto* data_of(const AnyView& view) {
  using Pointer = decltype(view.data());
  if constexpr (std::is_same_v<Pointer, const void*>)
    return static_cast<const T*>(view.data());
  else
    return static_cast<T*>(view.data());
}

/// Blocks of `threads` for n items, at most `most`: kernels walk on in strides of the grid.
inline unsigned blocks_for(std::int64_t n, int threads, std::int64_t most = 132 * 16) {
  const std::int64_t blocks = (n + threads - 1) / threads;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks > most ? most : blocks);
}

}  // namespace strata::cuda
