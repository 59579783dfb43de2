// Products by AVX-512 multiply-adds: f32, and bf16 by dot products of pairs. A block of 14 x 32 sums stays in 28 of the 32 registers, as
// in BLIS (Van Zee and van de Geijn, ACM TOMS 41(3), 2015). Compiled with the instruction sets named in src/CMakeLists.txt; nothing in it
// runs before the functions at its end have found them.
#include "device/panels.hpp"

#if defined(__AVX512BF16__) && defined(__AVX512BW__) && defined(__AVX512VL__)

#include "device/avx512_pack.hpp"

namespace strata {
namespace {

using Index = std::int64_t;
using avx512::first_of_16;
using avx512::first_of_32;

// One unit of depth is a dword of each outer: an f32, or a pair of bf16. 14 rows lie 16 dwords apart.
constexpr Index rows = 14, left_dwords = 16, right_dwords = 32;

/// Dwords [d, d + 16) of depth of 16 outers, from where depth is contiguous.
template <class Element>
void load_dwords(const PanelOperand& a, Index first, Index outers, Index unit, Index depth, __m512i row[16]) {
  const auto* data = static_cast<const Element*>(a.data);
  constexpr Index per_dword = 4 / static_cast<Index>(sizeof(Element));
  const Index d = unit * per_dword;
  for (Index i = 0; i < 16; ++i) {
    const Element* from = data + (first + i) * a.stride + d;
    if (first + i >= outers)
      row[i] = _mm512_setzero_si512();
    else if constexpr (sizeof(Element) == 4)
      row[i] = _mm512_maskz_loadu_epi32(first_of_16(depth - d), from);
    else
      row[i] = _mm512_maskz_loadu_epi16(first_of_32(depth - d), from);
  }
}

/// One unit of depth of 32 outers, from where the outers are contiguous.
template <class Element>
void load_unit(const PanelOperand& a, Index outers, Index unit, Index depth, __m512i& low, __m512i& high) {
  const auto* data = static_cast<const Element*>(a.data);
  if constexpr (sizeof(Element) == 2) {
    avx512::interleaved_pair(data, a.stride, outers, 2 * unit, depth, low, high);
  } else {
    low = _mm512_maskz_loadu_epi32(first_of_16(outers), data + unit * a.stride);
    high = _mm512_maskz_loadu_epi32(first_of_16(outers - 16), data + unit * a.stride + 16);
  }
}

template <class Element, Index width_dwords>
void pack(const PanelOperand& a, Index outers, Index depth, void* panel) {
  auto* to = static_cast<std::uint32_t*>(panel);
  constexpr bool wide = width_dwords == 32;
  const Index units = (depth * static_cast<Index>(sizeof(Element)) + 3) / 4;
  if (!a.depth_contiguous) {
    for (Index u = 0; u < units; ++u, to += width_dwords) {
      __m512i low, high;
      load_unit<Element>(a, outers, u, depth, low, high);
      _mm512_store_si512(to, low);
      if (wide) _mm512_store_si512(to + 16, high);
    }
    return;
  }
  for (Index u = 0; u < units; u += 16) {
    for (Index half = 0; half < width_dwords; half += 16) {
      __m512i row[16];
      load_dwords<Element>(a, half, outers, u, depth, row);
      avx512::transpose_16x16(row);
      const Index count = units - u < 16 ? units - u : 16;
      for (Index i = 0; i < count; ++i) _mm512_store_si512(to + (u + i) * width_dwords + half, row[i]);
    }
  }
}

struct F32 {
  static __m512 add(__m512 sum, std::uint32_t left, __m512i right) {
    return _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(left))), _mm512_castsi512_ps(right), sum);
  }
  static Index units(Index depth) { return depth; }
};
struct Bf16 {
  static __m512 add(__m512 sum, std::uint32_t left, __m512i right) {
    return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(left))), reinterpret_cast<__m512bh>(right));
  }
  static Index units(Index depth) { return (depth + 1) / 2; }
};

template <class Step, Index rows>
void multiply_rows(const void* left_panel, const void* right_panel, Index depth, float* sums, bool accumulate, const char* ahead,
                   Index step) {
  const auto *left = static_cast<const std::uint32_t*>(left_panel), *right = static_cast<const std::uint32_t*>(right_panel);
  __m512 low[rows], high[rows];
#pragma GCC unroll 14
  for (Index i = 0; i < rows; ++i) {
    low[i] = accumulate ? _mm512_loadu_ps(sums + i * sums_stride) : _mm512_setzero_ps();
    high[i] = accumulate ? _mm512_loadu_ps(sums + i * sums_stride + 16) : _mm512_setzero_ps();
  }
  for (Index u = Step::units(depth); u > 0; --u, left += left_dwords, right += right_dwords, ahead += step) {
    _mm_prefetch(ahead, _MM_HINT_T0);
    const __m512i first = _mm512_load_si512(right), second = _mm512_load_si512(right + 16);
#pragma GCC unroll 14
    for (Index i = 0; i < rows; ++i) {
      low[i] = Step::add(low[i], left[i], first);
      high[i] = Step::add(high[i], left[i], second);
    }
  }
#pragma GCC unroll 14
  for (Index i = 0; i < rows; ++i) {
    _mm512_storeu_ps(sums + i * sums_stride, low[i]);
    _mm512_storeu_ps(sums + i * sums_stride + 16, high[i]);
  }
}

/// A panel at the edge of a matrix takes the time of its rows. What is ahead comes evenly over the depth.
template <class Step>
void multiply(const void* left, const void* right, Index depth, float* sums, bool accumulate, Index wanted, const PanelAhead& ahead) {
  const Index units = Step::units(depth), step = units > 0 ? ahead.bytes / units : 0;
  const auto* next = static_cast<const char*>(ahead.bytes > 0 ? ahead.data : left);
  if (wanted > 10)
    multiply_rows<Step, rows>(left, right, depth, sums, accumulate, next, step);
  else if (wanted > 6)
    multiply_rows<Step, 10>(left, right, depth, sums, accumulate, next, step);
  else if (wanted > 2)
    multiply_rows<Step, 6>(left, right, depth, sums, accumulate, next, step);
  else
    multiply_rows<Step, 2>(left, right, depth, sums, accumulate, next, step);
}

void begin() {}
void end() {
  _mm_sfence();  // stores past the caches
}

constexpr PanelKernel f32_kernel{
    "AVX-512 f32", 4,     rows, 32, 1, left_dwords * 4, right_dwords * 4, pack<float, left_dwords>, pack<float, right_dwords>,
    multiply<F32>, begin, end};
constexpr PanelKernel bf16_kernel{"AVX-512 bf16",
                                  2,
                                  rows,
                                  32,
                                  2,
                                  left_dwords * 4,
                                  right_dwords * 4,
                                  pack<std::uint16_t, left_dwords>,
                                  pack<std::uint16_t, right_dwords>,
                                  multiply<Bf16>,
                                  begin,
                                  end};

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

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}

}  // namespace

const PanelKernel* avx512_f32_kernel() {
  static const bool yes = has_avx512();
  return yes ? &f32_kernel : nullptr;
}

const PanelKernel* avx512_bf16_kernel() {
  static const bool yes = has_avx512() && __builtin_cpu_supports("avx512bf16");
  return yes ? &bf16_kernel : nullptr;
}

void avx512_store(const float* sums, Index row_count, Index columns, float* c, Index ldc, bool streamed) {
  const bool whole_lines = streamed && columns == 32 && reinterpret_cast<std::uintptr_t>(c) % 64 == 0 && ldc % 16 == 0;
  const __mmask16 low = first_of_16(columns), high = first_of_16(columns - 16);
  for (Index i = 0; i < row_count; ++i, sums += sums_stride, c += ldc) {
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

void avx512_scale(const float* sums, Index row_count, Index columns, float factor, bool add, float* c, Index ldc) {
  const __mmask16 low = first_of_16(columns), high = first_of_16(columns - 16);
  const __m512 f = _mm512_set1_ps(factor);
  for (Index i = 0; i < row_count; ++i, sums += sums_stride, c += ldc) {
    const __m512 first = _mm512_loadu_ps(sums), second = _mm512_loadu_ps(sums + 16);
    if (add) {
      _mm512_mask_storeu_ps(c, low, _mm512_fmadd_ps(f, first, _mm512_maskz_loadu_ps(low, c)));
      _mm512_mask_storeu_ps(c + 16, high, _mm512_fmadd_ps(f, second, _mm512_maskz_loadu_ps(high, c + 16)));
    } else {
      _mm512_mask_storeu_ps(c, low, _mm512_mul_ps(f, first));
      _mm512_mask_storeu_ps(c + 16, high, _mm512_mul_ps(f, second));
    }
  }
}

void avx512_store_rounded(const float* sums, Index row_count, Index columns, const std::uint16_t* old, Index ld_old, std::uint16_t* c,
                          Index ldc) {
  const __mmask32 wanted = first_of_32(columns);
  for (Index i = 0; i < row_count; ++i, sums += sums_stride, c += ldc) {
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

}  // namespace strata

#else  // another processor family, or a compiler that does not know the instructions: no kernel, so nothing is ever stored by it

namespace strata {
const PanelKernel* avx512_f32_kernel() {
  return nullptr;
}
const PanelKernel* avx512_bf16_kernel() {
  return nullptr;
}
void avx512_store(const float*, std::int64_t, std::int64_t, float*, std::int64_t, bool) {}
void avx512_scale(const float*, std::int64_t, std::int64_t, float, bool, float*, std::int64_t) {}
void avx512_store_rounded(const float*, std::int64_t, std::int64_t, const std::uint16_t*, std::int64_t, std::uint16_t*, std::int64_t) {}
}  // namespace strata

#endif
