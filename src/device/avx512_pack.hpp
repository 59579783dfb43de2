#pragma once
// Vector pieces that packing shares. Included only by files that are compiled for AVX-512; everything is static, so that no other file
// can be given this code by the linker.
#include <immintrin.h>

#include <cstdint>

namespace strata::avx512 {

/// The first `count` of 32 (16) elements.
static inline __mmask32 first_of_32(std::int64_t count) {
  return count >= 32 ? 0xFFFFFFFFU : count <= 0 ? 0U : (1U << count) - 1U;
}
static inline __mmask16 first_of_16(std::int64_t count) {
  return static_cast<__mmask16>(first_of_32(count));
}

/// Rows of 16 dwords become columns.
static inline void transpose_16x16(__m512i row[16]) {
  __m512i t[16];
  for (int i = 0; i < 16; i += 2) {
    t[i] = _mm512_unpacklo_epi32(row[i], row[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(row[i], row[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    row[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    row[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    row[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    row[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  // row[4 g + c] now holds, in each 128-bit lane l, column 4 l + c of rows 4 g to 4 g + 3.
  for (int c = 0; c < 4; ++c) {
    t[c] = _mm512_shuffle_i32x4(row[c], row[4 + c], 0x88);
    t[4 + c] = _mm512_shuffle_i32x4(row[c], row[4 + c], 0xDD);
    t[8 + c] = _mm512_shuffle_i32x4(row[8 + c], row[12 + c], 0x88);
    t[12 + c] = _mm512_shuffle_i32x4(row[8 + c], row[12 + c], 0xDD);
  }
  for (int c = 0; c < 4; ++c) {
    row[c] = _mm512_shuffle_i32x4(t[c], t[8 + c], 0x88);
    row[8 + c] = _mm512_shuffle_i32x4(t[c], t[8 + c], 0xDD);
    row[4 + c] = _mm512_shuffle_i32x4(t[4 + c], t[12 + c], 0x88);
    row[12 + c] = _mm512_shuffle_i32x4(t[4 + c], t[12 + c], 0xDD);
  }
}

/// Depths d and d + 1 of 32 outers of a bf16 operand whose outers are contiguous, interleaved: outers 0-15 in `low`, 16-31 in `high`.
static inline void interleaved_pair(const std::uint16_t* data, std::int64_t stride, std::int64_t outers, std::int64_t d, std::int64_t depth,
                                    __m512i& low, __m512i& high) {
  const __mmask32 wanted = first_of_32(outers);
  const __m512i first = d < depth ? _mm512_maskz_loadu_epi16(wanted, data + d * stride) : _mm512_setzero_si512();
  const __m512i second = d + 1 < depth ? _mm512_maskz_loadu_epi16(wanted, data + (d + 1) * stride) : _mm512_setzero_si512();
  const __m512i mixed_low = _mm512_unpacklo_epi16(first, second), mixed_high = _mm512_unpackhi_epi16(first, second);
  // The unpacking works within 128 bits: put the pieces of 4 outers in order.
  const __m512i lower = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), upper = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  low = _mm512_permutex2var_epi64(mixed_low, lower, mixed_high);
  high = _mm512_permutex2var_epi64(mixed_low, upper, mixed_high);
}

}  // namespace strata::avx512
