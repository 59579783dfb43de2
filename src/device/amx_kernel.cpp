// Products on Intel's AMX units, tiles of 16 rows x 64 bytes (Intel 64 and IA-32 Architectures Optimization Reference Manual, chapter
// "Intel AMX Instruction Set"). Compiled with the instruction sets named in src/CMakeLists.txt; nothing in it runs before amx_bf16_kernel()
// has found them.
#include "device/panels.hpp"

#if defined(__AMX_BF16__) && defined(__AVX512BW__)

#include <sys/syscall.h>
#include <unistd.h>

#include "device/avx512_pack.hpp"

namespace strata {
namespace {

using Index = std::int64_t;
using avx512::first_of_32;
constexpr Index unit = 32;                  // of depth: a row of a left tile, the 16 pairs of a right one
constexpr Index tile_elements = 16 * unit;  // one tile, 1 KiB; a panel has two for each unit

bool kernel_grants_tiles() {
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

void begin() {
  _tile_loadconfig(&all_tiles_whole);
}
void end() {
  _tile_release();
  _mm_sfence();  // stores past the caches
}

void store_rows(const __m512i row[16], std::uint16_t* to) {
  for (int i = 0; i < 16; ++i) _mm512_store_si512(to + i * 32, row[i]);
}

/// 32 depths of 16 outers, zeros where there is nothing.
void load_outers(const PanelOperand& a, Index first, Index outers, Index d, Index depth, __m512i row[16]) {
  const auto* data = static_cast<const std::uint16_t*>(a.data);
  for (Index i = 0; i < 16; ++i)
    row[i] =
        first + i < outers ? _mm512_maskz_loadu_epi16(first_of_32(depth - d), data + (first + i) * a.stride + d) : _mm512_setzero_si512();
}

/// Tiles of 16 outers x 32 depths for the left operand, of 16 depth pairs x 16 outers for the right one: each is the other, transposed.
template <bool left>
void pack(const PanelOperand& a, Index outers, Index depth, void* panel) {
  auto* to = static_cast<std::uint16_t*>(panel);
  for (Index d = 0; d < depth; d += unit, to += 2 * tile_elements) {
    __m512i low[16], high[16];
    if (a.depth_contiguous) {
      load_outers(a, 0, outers, d, depth, low);
      load_outers(a, 16, outers, d, depth, high);
    } else {
      const auto* data = static_cast<const std::uint16_t*>(a.data);
      for (int i = 0; i < 16; ++i) avx512::interleaved_pair(data, a.stride, outers, d + 2 * i, depth, low[i], high[i]);
    }
    if (a.depth_contiguous != left) {
      avx512::transpose_16x16(low);
      avx512::transpose_16x16(high);
    }
    store_rows(low, to);
    store_rows(high, to + tile_elements);
  }
}

// The intrinsics do not name the memory they read and write: this is called through a pointer, which orders it. A panel of at most 16 rows
// leaves the lower two tiles out. Fetching ahead made it slower.
void multiply(const void* left_panel, const void* right_panel, Index depth, float* sums, bool accumulate, Index rows, const PanelAhead&) {
  constexpr Index row_bytes = sums_stride * static_cast<Index>(sizeof(float));
  const auto *left = static_cast<const std::uint16_t*>(left_panel), *right = static_cast<const std::uint16_t*>(right_panel);
  float *corner = sums, *below = sums + 16 * sums_stride;
  const bool both = rows > 16;
  if (accumulate) {
    _tile_loadd(0, corner, row_bytes);
    _tile_loadd(1, corner + 16, row_bytes);
    if (both) {
      _tile_loadd(2, below, row_bytes);
      _tile_loadd(3, below + 16, row_bytes);
    }
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  if (both) {
    for (Index d = 0; d < depth; d += unit, left += 2 * tile_elements, right += 2 * tile_elements) {
      _tile_loadd(4, left, 64);
      _tile_loadd(6, right, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, right + tile_elements, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, left + tile_elements, 64);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  } else {
    for (Index d = 0; d < depth; d += unit, left += 2 * tile_elements, right += 2 * tile_elements) {
      _tile_loadd(4, left, 64);
      _tile_loadd(6, right, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, right + tile_elements, 64);
      _tile_dpbf16ps(1, 4, 7);
    }
  }
  _tile_stored(0, corner, row_bytes);
  _tile_stored(1, corner + 16, row_bytes);
  if (!both) return;
  _tile_stored(2, below, row_bytes);
  _tile_stored(3, below + 16, row_bytes);
}

constexpr PanelKernel kernel{"AMX bf16", 2,           32,       32,    unit, 2 * tile_elements * 2, 2 * tile_elements * 2,
                             pack<true>, pack<false>, multiply, begin, end};

}  // namespace

const PanelKernel* amx_bf16_kernel() {
  static const bool yes = __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("avx512bw") && kernel_grants_tiles();
  return yes ? &kernel : nullptr;
}

}  // namespace strata

#else  // another processor family, or a compiler that does not know the tiles

namespace strata {
const PanelKernel* amx_bf16_kernel() {
  return nullptr;
}
}  // namespace strata

#endif
