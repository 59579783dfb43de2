// AMX tiles by intrinsics. This file is compiled with the instruction sets named in src/CMakeLists.txt; nothing in it runs before
// available() has said yes, and it includes no inline function that other files could share.
#include "device/amx_kernel.hpp"

#if defined(__AMX_BF16__) && defined(__AVX512BW__)

#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace strata::amx {
namespace {

using Index = std::int64_t;
constexpr Index tile_elements = 16 * 32;  // of bf16: one tile, 1 KiB

bool ask_kernel() {
  constexpr int request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {};
  std::uint8_t rows[16] = {};
  constexpr TileConfig() {
    for (int tile = 0; tile < 8; ++tile) row_bytes[tile] = 64, rows[tile] = 16;
  }
};
static_assert(sizeof(TileConfig) == 64);
constexpr TileConfig all_tiles_whole;  // static: GCC's intrinsic does not tell the compiler that it reads more than 8 bytes

/// The first `count` of 32 bf16 elements.
__mmask32 first_of_32(Index count) {
  return count >= 32 ? 0xFFFFFFFFU : count <= 0 ? 0U : (1U << count) - 1U;
}

/// Rows of 16 dwords become columns.
void transpose_16x16(__m512i row[16]) {
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

/// 32 depths of outer o, zeros where there is none.
__m512i depths_of(const Operand& a, Index o, Index outers, Index d, Index depth) {
  return o < outers ? _mm512_maskz_loadu_epi16(first_of_32(depth - d), a.data + o * a.stride + d) : _mm512_setzero_si512();
}

/// Depths d and d + 1 of 32 outers, interleaved: outers 0-15 in `low`, 16-31 in `high`.
void interleaved_pair(const Operand& a, Index outers, Index d, Index depth, __m512i& low, __m512i& high) {
  const __mmask32 wanted = first_of_32(outers);
  const __m512i first = d < depth ? _mm512_maskz_loadu_epi16(wanted, a.data + d * a.stride) : _mm512_setzero_si512();
  const __m512i second = d + 1 < depth ? _mm512_maskz_loadu_epi16(wanted, a.data + (d + 1) * a.stride) : _mm512_setzero_si512();
  const __m512i mixed_low = _mm512_unpacklo_epi16(first, second), mixed_high = _mm512_unpackhi_epi16(first, second);
  // The unpacking works within 128 bits: put the pieces of 4 outers in order.
  const __m512i lower = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), upper = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  low = _mm512_permutex2var_epi64(mixed_low, lower, mixed_high);
  high = _mm512_permutex2var_epi64(mixed_low, upper, mixed_high);
}

__m512 widened(__m256i bf16) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bf16), 16));
}

/// To nearest, ties upward in magnitude; NaN stays NaN (BFloat16::round).
__m256i rounded(__m512 value) {
  const __m512i bits = _mm512_castps_si512(value);
  const __mmask16 nan = _mm512_cmp_ps_mask(value, value, _CMP_UNORD_Q);
  __m512i upper = _mm512_srli_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x8000)), 16);
  upper = _mm512_mask_or_epi32(upper, nan, _mm512_srli_epi32(bits, 16), _mm512_set1_epi32(0x40));
  return _mm512_cvtepi32_epi16(upper);
}

void store_rows(const __m512i row[16], std::uint16_t* to) {
  for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * 32, row[i]);
}

/// 16 outers x 32 depths as rows of outers.
void load_outers(const Operand& a, Index first, Index outers, Index d, Index depth, __m512i row[16]) {
  for (int i = 0; i < 16; ++i) row[i] = depths_of(a, first + i, outers, d, depth);
}

}  // namespace

bool available() {
  static const bool yes = __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("avx512bw") && ask_kernel();
  return yes;
}

void pack_left(const Operand& a, Index outers, Index depth, std::uint16_t* panel) {
  for (Index d = 0; d < depth; d += depth_unit, panel += 2 * tile_elements) {
    __m512i low[16], high[16];
    if (a.depth_contiguous) {
      load_outers(a, 0, outers, d, depth, low);
      load_outers(a, 16, outers, d, depth, high);
    } else {
      for (int i = 0; i < 16; ++i) interleaved_pair(a, outers, d + 2 * i, depth, low[i], high[i]);
      transpose_16x16(low);
      transpose_16x16(high);
    }
    store_rows(low, panel);
    store_rows(high, panel + tile_elements);
  }
}

void pack_right(const Operand& b, Index outers, Index depth, std::uint16_t* panel) {
  for (Index d = 0; d < depth; d += depth_unit, panel += 2 * tile_elements) {
    __m512i low[16], high[16];
    if (b.depth_contiguous) {
      load_outers(b, 0, outers, d, depth, low);
      load_outers(b, 16, outers, d, depth, high);
      transpose_16x16(low);
      transpose_16x16(high);
    } else {
      for (int i = 0; i < 16; ++i) interleaved_pair(b, outers, d + 2 * i, depth, low[i], high[i]);
    }
    store_rows(low, panel);
    store_rows(high, panel + tile_elements);
  }
}

Session::Session() {
  _tile_loadconfig(&all_tiles_whole);
}

Session::~Session() {
  _tile_release();
  _mm_sfence();
}

// The intrinsics do not name the memory they read and write: callers in other files do not see inside, which orders it.
void multiply(const std::uint16_t* left, const std::uint16_t* right, Index depth, float* sums, bool accumulate) {
  constexpr Index row_bytes = panel_width * static_cast<Index>(sizeof(float));
  float *corner = sums, *below = sums + 16 * panel_width;
  if (accumulate) {
    _tile_loadd(0, corner, row_bytes);
    _tile_loadd(1, corner + 16, row_bytes);
    _tile_loadd(2, below, row_bytes);
    _tile_loadd(3, below + 16, row_bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (Index d = 0; d < depth; d += depth_unit, left += 2 * tile_elements, right += 2 * tile_elements) {
    _tile_loadd(4, left, 64);
    _tile_loadd(6, right, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, right + tile_elements, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, left + tile_elements, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, corner, row_bytes);
  _tile_stored(1, corner + 16, row_bytes);
  _tile_stored(2, below, row_bytes);
  _tile_stored(3, below + 16, row_bytes);
}

void store(const float* sums, Index rows, Index columns, float* c, Index ldc, bool streamed) {
  const bool whole_lines = streamed && columns == panel_width && reinterpret_cast<std::uintptr_t>(c) % 64 == 0 && ldc % 16 == 0;
  const __mmask32 wanted = first_of_32(columns);
  const auto low = static_cast<__mmask16>(wanted), high = static_cast<__mmask16>(wanted >> 16);
  for (Index i = 0; i < rows; ++i, sums += panel_width, c += ldc) {
    const __m512 first = _mm512_loadu_ps(sums), second = _mm512_loadu_ps(sums + 16);
    if (whole_lines) {
      _mm512_stream_ps(c, first);
      _mm512_stream_ps(c + 16, second);
    } else {
      _mm512_mask_storeu_ps(c, low, first);
      _mm512_mask_storeu_ps(c + 16, high, second);
    }
  }
}

void store_rounded(const float* sums, Index rows, Index columns, const std::uint16_t* old, Index ld_old, std::uint16_t* c, Index ldc) {
  const __mmask32 wanted = first_of_32(columns);
  for (Index i = 0; i < rows; ++i, sums += panel_width, c += ldc) {
    __m512 first = _mm512_loadu_ps(sums), second = _mm512_loadu_ps(sums + 16);
    if (old) {
      const __m512i held = _mm512_maskz_loadu_epi16(wanted, old + i * ld_old);
      first = _mm512_add_ps(first, widened(_mm512_castsi512_si256(held)));
      second = _mm512_add_ps(second, widened(_mm512_extracti64x4_epi64(held, 1)));
    }
    const __m512i both = _mm512_inserti64x4(_mm512_castsi256_si512(rounded(first)), rounded(second), 1);
    _mm512_mask_storeu_epi16(c, wanted, both);
  }
}

}  // namespace strata::amx

#else  // another processor family, or a compiler that does not know the tiles

namespace strata::amx {

bool available() {
  return false;
}
void pack_left(const Operand&, std::int64_t, std::int64_t, std::uint16_t*) {}
void pack_right(const Operand&, std::int64_t, std::int64_t, std::uint16_t*) {}
Session::Session() = default;
Session::~Session() = default;
void multiply(const std::uint16_t*, const std::uint16_t*, std::int64_t, float*, bool) {}
void store(const float*, std::int64_t, std::int64_t, float*, std::int64_t, bool) {}
void store_rounded(const float*, std::int64_t, std::int64_t, const std::uint16_t*, std::int64_t, std::uint16_t*, std::int64_t) {}

}  // namespace strata::amx

#endif
