// Atomic functions on whole numbers. Those on floating-point numbers are left out on purpose: their sums depend on the order of the
// threads.
#pragma once

namespace emulation {
template <class T, class F>
inline T replace(T* address, F value_of) {
  const T old = *address;
  *address = value_of(old);
  return old;
}
}  // namespace emulation

#define STRATA_EMULATION_ATOMICS(T)                                                           \
  inline T atomicAdd(T* address, T value) {                                                   \
    return emulation::replace(address, [=](T old) { return static_cast<T>(old + value); });   \
  }                                                                                           \
  inline T atomicExch(T* address, T value) {                                                  \
    return emulation::replace(address, [=](T) { return value; });                             \
  }                                                                                           \
  inline T atomicMin(T* address, T value) {                                                   \
    return emulation::replace(address, [=](T old) { return value < old ? value : old; });     \
  }                                                                                           \
  inline T atomicMax(T* address, T value) {                                                   \
    return emulation::replace(address, [=](T old) { return old < value ? value : old; });     \
  }                                                                                           \
  inline T atomicAnd(T* address, T value) {                                                   \
    return emulation::replace(address, [=](T old) { return old & value; });                   \
  }                                                                                           \
  inline T atomicOr(T* address, T value) {                                                    \
    return emulation::replace(address, [=](T old) { return old | value; });                   \
  }                                                                                           \
  inline T atomicXor(T* address, T value) {                                                   \
    return emulation::replace(address, [=](T old) { return old ^ value; });                   \
  }                                                                                           \
  inline T atomicCAS(T* address, T expected, T value) {                                       \
    return emulation::replace(address, [=](T old) { return old == expected ? value : old; }); \
  }
STRATA_EMULATION_ATOMICS(int)
STRATA_EMULATION_ATOMICS(unsigned int)
STRATA_EMULATION_ATOMICS(unsigned long long int)
#undef STRATA_EMULATION_ATOMICS

inline unsigned int atomicInc(unsigned int* address, unsigned int limit) {
  return emulation::replace(address, [=](unsigned int old) { return old >= limit ? 0u : old + 1; });
}

// Strata's rule: no floating-point atomics.
float atomicAdd(float*, float) = delete;
double atomicAdd(double*, double) = delete;
