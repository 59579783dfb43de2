#pragma once
// One oneDNN product on the calling thread, with its primitive cached per thread.
#include <cstdint>

#include "strata/base/dtype.hpp"
#include "strata/device/blas.hpp"

namespace strata {

/// What oneDNN makes a primitive for: everything about C[m,n] = alpha A B but the addresses.
struct MatmulKey {
  std::int64_t m = 0, n = 0, k = 0;
  std::int64_t lda = 0, ldb = 0, ldc = 0;  // [elements] between stored rows
  float alpha = 1.0F;
  DType in = DType::f32, out = DType::f32;  // f32 -> f32, bf16 -> f32, bf16 -> bf16
  bool a_transposed = false, b_transposed = false;
  bool accumulate = false;  // C += alpha A B inside the product
  bool operator==(const MatmulKey&) const = default;
};

/// C = alpha A B, m, n, k >= 1. The primitive is made at a thread's first call with this key; afterwards a call costs a look-up.
/// `scratch` (64-byte aligned) is what oneDNN works in; where it is too small, a buffer of this thread that was sized when primitives were
/// made.
void onednn_matmul(const MatmulKey& key, const void* a, const void* b, void* c, void* scratch, std::int64_t scratch_bytes);

/// Instruction sets that matter here. Whether this processor has one as oneDNN sees it: DNNL_MAX_CPU_ISA can lower it.
enum class Isa { avx512, avx512_bf16, amx };
bool onednn_has(Isa isa);

/// oneDNN's name for the implementation of a key, for example "brg:avx512_core": for benchmarks and logs.
const char* onednn_implementation(const MatmulKey& key);

}  // namespace strata
