// CUDA's mathematical functions beyond <math.h>. The fast ones (__expf, ...) are computed exactly rounded or nearly so: a GPU's last bits
// differ.
#pragma once
#include <math.h>

#include <algorithm>
#include <cmath>
#include <limits>

// Nearest-even is the rounding of the host: these are its plain operations, kept from being contracted.
inline float __fadd_rn(float x, float y) {
  return x + y;
}
inline float __fsub_rn(float x, float y) {
  return x - y;
}
inline float __fmul_rn(float x, float y) {
  return x * y;
}
inline float __fdiv_rn(float x, float y) {
  return x / y;
}
inline float __frcp_rn(float x) {
  return 1.0f / x;
}
inline float __fsqrt_rn(float x) {
  return std::sqrt(x);
}
inline float __frsqrt_rn(float x) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x)));
}
inline float __fmaf_rn(float x, float y, float z) {
  return std::fma(x, y, z);
}
inline double __dadd_rn(double x, double y) {
  return x + y;
}
inline double __dsub_rn(double x, double y) {
  return x - y;
}
inline double __dmul_rn(double x, double y) {
  return x * y;
}
inline double __ddiv_rn(double x, double y) {
  return x / y;
}
inline double __drcp_rn(double x) {
  return 1.0 / x;
}
inline double __dsqrt_rn(double x) {
  return std::sqrt(x);
}
inline double __fma_rn(double x, double y, double z) {
  return std::fma(x, y, z);
}

inline float rsqrtf(float x) {
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(x)));
}
inline double rsqrt(double x) {
  return 1.0 / std::sqrt(x);
}
inline float rsqrt(float x) {
  return rsqrtf(x);
}
inline float normcdff(float x) {
  return static_cast<float>(0.5 * std::erfc(-static_cast<double>(x) * 0.70710678118654752440));
}
inline float __expf(float x) {
  return std::exp(x);
}
inline float __exp10f(float x) {
  return static_cast<float>(std::pow(10.0, static_cast<double>(x)));
}
inline float __logf(float x) {
  return std::log(x);
}
inline float __log2f(float x) {
  return std::log2(x);
}
inline float __log10f(float x) {
  return std::log10(x);
}
inline float __powf(float x, float y) {
  return std::pow(x, y);
}
inline float __sinf(float x) {
  return std::sin(x);
}
inline float __cosf(float x) {
  return std::cos(x);
}
inline float __tanf(float x) {
  return std::tan(x);
}
inline void __sincosf(float x, float* sine, float* cosine) {
  *sine = std::sin(x), *cosine = std::cos(x);
}
inline void sincospif(float x, float* sine, float* cosine) {
  const double angle = 3.14159265358979323846 * static_cast<double>(x);
  *sine = static_cast<float>(std::sin(angle)), *cosine = static_cast<float>(std::cos(angle));
}
inline float __fdividef(float x, float y) {
  return x / y;
}
inline float __saturatef(float x) {
  return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f;
}  // NaN gives 0

// Conversions to whole numbers saturate, and NaN gives 0, as a GPU's do.
namespace emulation {
template <class To, class From>
inline To saturated(From x) {
  if (std::isnan(x)) return 0;
  if (x <= static_cast<From>(std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
  if (x >= static_cast<From>(std::numeric_limits<To>::max())) return std::numeric_limits<To>::max();
  return static_cast<To>(x);
}
}  // namespace emulation
inline int __float2int_rn(float x) {
  return emulation::saturated<int>(std::nearbyint(x));
}
inline int __float2int_rz(float x) {
  return emulation::saturated<int>(std::trunc(x));
}
inline int __float2int_rd(float x) {
  return emulation::saturated<int>(std::floor(x));
}
inline int __float2int_ru(float x) {
  return emulation::saturated<int>(std::ceil(x));
}
inline unsigned int __float2uint_rn(float x) {
  return emulation::saturated<unsigned int>(std::nearbyint(x));
}
inline unsigned int __float2uint_rz(float x) {
  return emulation::saturated<unsigned int>(std::trunc(x));
}
inline long long int __float2ll_rn(float x) {
  return emulation::saturated<long long int>(std::nearbyint(x));
}
inline long long int __double2ll_rn(double x) {
  return emulation::saturated<long long int>(std::nearbyint(x));
}
inline float __int2float_rn(int x) {
  return static_cast<float>(x);
}
inline float __uint2float_rn(unsigned int x) {
  return static_cast<float>(x);
}
inline float __ll2float_rn(long long int x) {
  return static_cast<float>(x);
}
inline float __double2float_rn(double x) {
  return static_cast<float>(x);
}

// ::min and ::max, on the pairs of types for which CUDA has them.
#define STRATA_EMULATION_MIN_MAX(T) \
  constexpr T min(T x, T y) {       \
    return y < x ? y : x;           \
  }                                 \
  constexpr T max(T x, T y) {       \
    return x < y ? y : x;           \
  }
STRATA_EMULATION_MIN_MAX(int)
STRATA_EMULATION_MIN_MAX(unsigned int)
STRATA_EMULATION_MIN_MAX(long)
STRATA_EMULATION_MIN_MAX(unsigned long)
STRATA_EMULATION_MIN_MAX(long long)
STRATA_EMULATION_MIN_MAX(unsigned long long)
#undef STRATA_EMULATION_MIN_MAX
inline float min(float x, float y) {
  return fminf(x, y);
}
inline float max(float x, float y) {
  return fmaxf(x, y);
}
inline double min(double x, double y) {
  return fmin(x, y);
}
inline double max(double x, double y) {
  return fmax(x, y);
}
