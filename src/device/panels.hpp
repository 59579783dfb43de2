#pragma once
// Panels: how the kernels of this room want the operands of a product to lie, and what they compute from two of them. Plain pointers and
// function pointers only: the code behind them is compiled for processors newer than the rest of the program.
#include <cstdint>

namespace strata {

/// An operand as it lies in memory: the element at (outer o, depth d) is data[o * stride + d], or data[d * stride + o] where not
/// `depth_contiguous`. Outer: the rows of A (the left operand), or the columns of B (the right one).
struct PanelOperand {
  const void* data;
  std::int64_t stride;  // [elements]
  bool depth_contiguous;
};

/// Elements between the rows of a block of sums, and the most rows it has.
constexpr std::int64_t sums_stride = 32, most_panel_rows = 32;

/// Memory that is needed soon; none where `bytes` is 0.
struct PanelAhead {
  const void* data = nullptr;
  std::int64_t bytes = 0;
};

/// One way of multiplying panels. A panel holds `left_width` rows of A, or `right_width` = 32 columns of B, over a stretch of depth, filled
/// up with zeros to whole widths and to a multiple of `depth_unit`.
struct PanelKernel {
  const char* name;
  std::int64_t element_bytes;
  std::int64_t left_width, right_width;
  std::int64_t depth_unit;
  std::int64_t left_bytes, right_bytes;  // of a panel, per depth_unit

  /// Copies outer [0, outers <= width) x depth [0, depth) into a panel (64-byte aligned).
  void (*pack_left)(const PanelOperand& operand, std::int64_t outers, std::int64_t depth, void* panel);
  void (*pack_right)(const PanelOperand& operand, std::int64_t outers, std::int64_t depth, void* panel);
  /// sums[i * sums_stride + j] (=|+=) left_i . right_j over `depth`, in f32. Each element is one sum in the order of depth, so that cutting
  /// the depth at multiples of depth_unit and accumulating changes nothing. Rows beyond the first `rows` of the panel may be left out. What
  /// is needed next may be fetched into the caches meanwhile.
  void (*multiply)(const void* left, const void* right, std::int64_t depth, float* sums, bool accumulate, std::int64_t rows,
                   const PanelAhead& ahead);
  /// Before the first and after the last multiply of a stretch of work on a thread.
  void (*begin)();
  void (*end)();

  std::int64_t units(std::int64_t depth) const { return (depth + depth_unit - 1) / depth_unit; }
};

/// The kernels of this processor; null where it lacks the instructions or the compiler did not know them.
const PanelKernel* amx_bf16_kernel();     // AMX tiles
const PanelKernel* avx512_bf16_kernel();  // AVX-512 bf16 dot products
const PanelKernel* avx512_f32_kernel();   // AVX-512
/// C = sums for `rows` x `columns` of a block, past the caches where `streamed` (outputs far larger than they are; visible to other threads
/// after end()). For processors with any of these kernels.
void avx512_store(const float* sums, std::int64_t rows, std::int64_t columns, float* c, std::int64_t ldc, bool streamed);
/// C (=|+=) factor * sums for `rows` x `columns` of a block, one rounding (a fused multiply-add where it adds).
void avx512_scale(const float* sums, std::int64_t rows, std::int64_t columns, float factor, bool add, float* c, std::int64_t ldc);
/// C = bf16(sums + old), rounded as BFloat16 is; no old where null.
void avx512_store_rounded(const float* sums, std::int64_t rows, std::int64_t columns, const std::uint16_t* old, std::int64_t ld_old,
                          std::uint16_t* c, std::int64_t ldc);

}  // namespace strata
