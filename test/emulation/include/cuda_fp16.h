// CUDA's fp16: storage, exact conversions, and arithmetic rounded once.
#pragma once
#include <cmath>
#include <type_traits>

#include "cuda_runtime.h"
#include "emulation/narrow.hpp"

struct __half_raw {
  unsigned short x;
};

struct alignas(2) __half {
  __half() = default;
  __half(__half_raw raw) : bits(raw.x) {}
  __half(float x) : bits(emulation::float_to_half(x)) {}
  __half(double x) : bits(emulation::float_to_half(emulation::round_to_odd(x))) {}
  template <class Integer, class = std::enable_if_t<std::is_integral_v<Integer>>>
  __half(Integer x) : __half(static_cast<double>(x)) {}
  operator float() const { return emulation::half_to_float(bits); }
  operator __half_raw() const { return {bits}; }

  unsigned short bits;
};

struct alignas(4) __half2 {
  __half2() = default;
  __half2(__half low, __half high) : x(low), y(high) {}
  __half x, y;
};
using half = __half;
using half2 = __half2;

inline __half __float2half(float x) {
  return __half(x);
}
inline __half __float2half_rn(float x) {
  return __half(x);
}
inline __half __double2half(double x) {
  return __half(x);
}
inline float __half2float(__half x) {
  return static_cast<float>(x);
}
inline unsigned short __half_as_ushort(__half x) {
  return x.bits;
}
inline short __half_as_short(__half x) {
  return static_cast<short>(x.bits);
}
inline __half __ushort_as_half(unsigned short bits) {
  return __half(__half_raw{bits});
}
inline __half __short_as_half(short bits) {
  return __half(__half_raw{static_cast<unsigned short>(bits)});
}

inline __half2 make_half2(__half x, __half y) {
  return {x, y};
}
inline __half2 __halves2half2(__half x, __half y) {
  return {x, y};
}
inline __half2 __floats2half2_rn(float x, float y) {
  return {__half(x), __half(y)};
}
inline __half2 __float22half2_rn(float2 v) {
  return {__half(v.x), __half(v.y)};
}
inline __half2 __float2half2_rn(float x) {
  return {__half(x), __half(x)};
}
inline __half2 __half2half2(__half x) {
  return {x, x};
}
inline float2 __half22float2(__half2 v) {
  return {static_cast<float>(v.x), static_cast<float>(v.y)};
}
inline float __low2float(__half2 v) {
  return static_cast<float>(v.x);
}
inline float __high2float(__half2 v) {
  return static_cast<float>(v.y);
}
inline __half __low2half(__half2 v) {
  return v.x;
}
inline __half __high2half(__half2 v) {
  return v.y;
}

// A sum or product of two is rounded right through f32; a fused one through f64, to odd.
inline __half __hadd(__half a, __half b) {
  return __half(static_cast<float>(a) + static_cast<float>(b));
}
inline __half __hsub(__half a, __half b) {
  return __half(static_cast<float>(a) - static_cast<float>(b));
}
inline __half __hmul(__half a, __half b) {
  return __half(static_cast<float>(a) * static_cast<float>(b));
}
inline __half __hdiv(__half a, __half b) {
  return __half(static_cast<float>(a) / static_cast<float>(b));
}
inline __half __hneg(__half a) {
  return __half(__half_raw{static_cast<unsigned short>(a.bits ^ 0x8000u)});
}
inline __half __habs(__half a) {
  return __half(__half_raw{static_cast<unsigned short>(a.bits & 0x7fffu)});
}
inline __half __hfma(__half a, __half b, __half c) {
  return __half(std::fma(static_cast<double>(static_cast<float>(a)), static_cast<double>(static_cast<float>(b)),
                         static_cast<double>(static_cast<float>(c))));
}
inline bool __hisnan(__half a) {
  return (a.bits & 0x7fffu) > 0x7c00u;
}
inline bool __hgt(__half a, __half b) {
  return static_cast<float>(a) > static_cast<float>(b);
}
inline bool __hlt(__half a, __half b) {
  return static_cast<float>(a) < static_cast<float>(b);
}
inline bool __heq(__half a, __half b) {
  return static_cast<float>(a) == static_cast<float>(b);
}
inline __half __hmax(__half a, __half b) {
  return __half(fmaxf(static_cast<float>(a), static_cast<float>(b)));
}
inline __half __hmin(__half a, __half b) {
  return __half(fminf(static_cast<float>(a), static_cast<float>(b)));
}
inline __half2 __hadd2(__half2 a, __half2 b) {
  return {__hadd(a.x, b.x), __hadd(a.y, b.y)};
}
inline __half2 __hmul2(__half2 a, __half2 b) {
  return {__hmul(a.x, b.x), __hmul(a.y, b.y)};
}
inline __half2 __hfma2(__half2 a, __half2 b, __half2 c) {
  return {__hfma(a.x, b.x, c.x), __hfma(a.y, b.y, c.y)};
}

inline __half __shfl_sync(unsigned int mask, __half x, int lane, int width = 32) {
  return emulation::shuffle_value(emulation::Shuffle::index, mask, x, lane, width);
}
inline __half __shfl_xor_sync(unsigned int mask, __half x, int lanes, int width = 32) {
  return emulation::shuffle_value(emulation::Shuffle::exclusive, mask, x, lanes, width);
}
