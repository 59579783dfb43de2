// mma and ldmatrix: a warp's lanes bring their fragments, the last to come computes for all.
// Layouts: PTX ISA, "Matrix fragments for mma.m16n8k16 / m16n8k8" and "ldmatrix". With group = lane / 4 and pair = lane % 4:
//   d[0..1] = D[group][2 pair + 0..1], d[2..3] = D[group + 8][...]
//   16-bit: a[0] = A[group][2 pair + 0..1], a[1] = A[group + 8][...], a[2] = A[group][2 pair + 8 + 0..1], a[3] = A[group + 8][2 pair + 8 +
//   0..1]
//           b[0] = B[2 pair + 0..1][group], b[1] = B[2 pair + 8 + 0..1][group]
//   tf32:   a[0] = A[group][pair], a[1] = A[group + 8][pair], a[2] = A[group][pair + 4], a[3] = A[group + 8][pair + 4]
//           b[0] = B[pair][group], b[1] = B[pair + 4][group]
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "block.hpp"
#include "cuda_bf16.h"
#include "cuda_fp16.h"
#include "device/cuda/ptx.cuh"
#include "emulation/run.hpp"
#include "shared_memory.hpp"

namespace emulation {
namespace {

struct Product {
  float* d;
  const unsigned* a;
  const unsigned* b;
};

float from_bf16(unsigned bits) {
  return std::bit_cast<float>(bits << 16);
}
float from_f16(unsigned bits) {
  return half_to_float(static_cast<std::uint16_t>(bits));
}

// D += A B from whole matrices, sums over rising k.
template <int K>
void multiply(const float (&a)[16][K], const float (&b)[K][8], void* const (&operands)[32]) {
  float d[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const float* const mine = static_cast<const Product*>(operands[lane])->d;
    for (int i = 0; i < 4; ++i) d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2] = mine[i];
  }
  for (int m = 0; m < 16; ++m) {
    for (int k = 0; k < K; ++k) {
      for (int n = 0; n < 8; ++n) d[m][n] += a[m][k] * b[k][n];  // the product is exact in f32
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    float* const mine = static_cast<const Product*>(operands[lane])->d;
    for (int i = 0; i < 4; ++i) mine[i] = d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
  }
}

template <float (*value)(unsigned)>
void complete_16_bit(void* const (&operands)[32], unsigned int) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<const Product*>(operands[lane]);
    const int group = lane / 4, pair = lane % 4;
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i) a[group + i % 2 * 8][2 * pair + i / 2 * 8 + half] = value(mine.a[i] >> (16 * half) & 0xffffu);
      for (int i = 0; i < 2; ++i) b[2 * pair + i * 8 + half][group] = value(mine.b[i] >> (16 * half) & 0xffffu);
    }
  }
  multiply<16>(a, b, operands);
}

// tf32 reads the upper 19 bits of an f32.
float from_tf32(unsigned bits) {
  return std::bit_cast<float>(bits & 0xffffe000u);
}

void complete_tf32(void* const (&operands)[32], unsigned int) {
  float a[16][8], b[8][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& mine = *static_cast<const Product*>(operands[lane]);
    const int group = lane / 4, pair = lane % 4;
    for (int i = 0; i < 4; ++i) a[group + i % 2 * 8][pair + i / 2 * 4] = from_tf32(mine.a[i]);
    for (int i = 0; i < 2; ++i) b[pair + i * 4][group] = from_tf32(mine.b[i]);
  }
  multiply<8>(a, b, operands);
}

struct Load {
  unsigned* r;
  const void* row;
};

// Lane l gets elements 2 (l % 4) and the next of row l / 4 of each matrix; transposed: of column l / 4.
template <int matrices, bool transposed>
void complete_load(void* const (&operands)[32], unsigned int) {
  for (int matrix = 0; matrix < matrices; ++matrix) {
    std::uint16_t rows[8][8];
    for (int row = 0; row < 8; ++row) {
      const void* const at = static_cast<const Load*>(operands[8 * matrix + row])->row;
      if (reinterpret_cast<std::uintptr_t>(at) % 16 != 0) fail("ldmatrix: a row is not aligned to 16 bytes");
      if (!is_shared(at, 16)) fail("ldmatrix: a row is not in shared memory");
      std::memcpy(rows[row], at, 16);
    }
    for (int lane = 0; lane < 32; ++lane) {
      const int i = lane / 4, j = 2 * (lane % 4);
      const unsigned low = transposed ? rows[j][i] : rows[i][j], high = transposed ? rows[j + 1][i] : rows[i][j + 1];
      static_cast<const Load*>(operands[lane])->r[matrix] = low | high << 16;
    }
  }
}

constexpr unsigned warp = 0xffffffffu;

}  // namespace
}  // namespace emulation

namespace strata::cuda {

using emulation::Load;
using emulation::Product;

void mma_bf16_16x8x16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  Product operands{d, a, b};
  emulation::warp_collective("mma_bf16_16x8x16", emulation::warp, &operands, emulation::complete_16_bit<emulation::from_bf16>);
}
void mma_f16_16x8x16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  Product operands{d, a, b};
  emulation::warp_collective("mma_f16_16x8x16", emulation::warp, &operands, emulation::complete_16_bit<emulation::from_f16>);
}
void mma_tf32_16x8x8(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  Product operands{d, a, b};
  emulation::warp_collective("mma_tf32_16x8x8", emulation::warp, &operands, emulation::complete_tf32);
}

void ldmatrix_x4(unsigned (&r)[4], const void* row) {
  Load operands{r, row};
  emulation::warp_collective("ldmatrix_x4", emulation::warp, &operands, emulation::complete_load<4, false>);
}
void ldmatrix_x4_trans(unsigned (&r)[4], const void* row) {
  Load operands{r, row};
  emulation::warp_collective("ldmatrix_x4_trans", emulation::warp, &operands, emulation::complete_load<4, true>);
}
void ldmatrix_x2(unsigned (&r)[2], const void* row) {
  Load operands{r, row};
  emulation::warp_collective("ldmatrix_x2", emulation::warp, &operands, emulation::complete_load<2, false>);
}
void ldmatrix_x2_trans(unsigned (&r)[2], const void* row) {
  Load operands{r, row};
  emulation::warp_collective("ldmatrix_x2_trans", emulation::warp, &operands, emulation::complete_load<2, true>);
}

float exp2_approx(float x) {
  if (std::fpclassify(x) == FP_SUBNORMAL) x = 0.0f;
  const float y = std::exp2(x);
  return std::fpclassify(y) == FP_SUBNORMAL ? 0.0f : y;
}

}  // namespace strata::cuda
