#pragma once
// Arithmetic that the compiler may not fuse or regroup: nvcc makes fused multiply-adds as it sees fit, and the same formula in two kernels
// could then differ in its last bits.
#include <cuda_runtime.h>

namespace strata::cuda {

__device__ __forceinline__ float product(float a, float b) {
  return __fmul_rn(a, b);
}
__device__ __forceinline__ double product(double a, double b) {
  return __dmul_rn(a, b);
}
__device__ __forceinline__ float sum(float a, float b) {
  return __fadd_rn(a, b);
}
__device__ __forceinline__ double sum(double a, double b) {
  return __dadd_rn(a, b);
}
__device__ __forceinline__ float difference(float a, float b) {
  return __fadd_rn(a, -b);
}
__device__ __forceinline__ double difference(double a, double b) {
  return __dadd_rn(a, -b);
}
/// a b + c, rounded once.
__device__ __forceinline__ float fused(float a, float b, float c) {
  return fmaf(a, b, c);
}
__device__ __forceinline__ double fused(double a, double b, double c) {
  return fma(a, b, c);
}

__device__ __forceinline__ float root(float x) {
  return sqrtf(x);
}
__device__ __forceinline__ double root(double x) {
  return sqrt(x);
}

}  // namespace strata::cuda
