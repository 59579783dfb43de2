#pragma once
// Matrix products on Intel's AMX units (tiles of 16 rows x 64 bytes): packing of bf16 operands into panels, and the product of two panels.
// Plain pointers only: the code behind this is compiled for processors newer than the rest of the program (Intel 64 and IA-32
// Architectures Optimization Reference Manual, chapter 20, "Intel AMX").
#include <cstdint>

namespace strata::amx {

/// Rows of C (a left panel) or columns of C (a right panel) that one panel holds, and the multiple its depth is filled up to with zeros.
constexpr std::int64_t panel_width = 32, depth_unit = 32;

/// True if this processor multiplies bf16 tiles and the kernel lets this process use them (asked once, for all threads).
bool available();

/// An operand as it lies in memory: the element at (outer o, depth d) is data[o * stride + d], or data[d * stride + o] where not
/// `depth_contiguous`. Outer: the rows of A, or the columns of B.
struct Operand {
  const std::uint16_t* data;
  std::int64_t stride;
  bool depth_contiguous;
};

/// Elements of one packed panel.
constexpr std::int64_t panel_elements(std::int64_t depth) {
  return panel_width * ((depth + depth_unit - 1) / depth_unit * depth_unit);
}

/// Copies outer [0, outers <= 32) x depth [0, depth) into a panel, zeros beside it. Left panels hold, for every 32 of depth, two tiles of
/// 16 rows x 32 depths; right panels two tiles of 16 depth pairs x 16 columns x 2, as the multiplying instruction wants its second operand.
void pack_left(const Operand& operand, std::int64_t outers, std::int64_t depth, std::uint16_t* panel);
void pack_right(const Operand& operand, std::int64_t outers, std::int64_t depth, std::uint16_t* panel);

/// Tiles may be used by this thread while an object of this type lives; at its end everything stored is visible to other threads.
class Session {
 public:
  Session();
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
};

/// sums[32][32] (=|+=) left . right over `depth` (any; panels are filled up with zeros). Each element is one sum in f32 in the order of
/// depth, two products at a time, so that cutting the depth at multiples of 32 and accumulating changes nothing.
void multiply(const std::uint16_t* left, const std::uint16_t* right, std::int64_t depth, float* sums, bool accumulate);

/// c = sums, `rows` x `columns` of the 32 x 32, past the caches where `streamed` (for outputs far larger than they are).
void store(const float* sums, std::int64_t rows, std::int64_t columns, float* c, std::int64_t ldc, bool streamed);

/// c = bf16(sums + old), rounded as BFloat16 is; no old where null.
void store_rounded(const float* sums, std::int64_t rows, std::int64_t columns, const std::uint16_t* old, std::int64_t ld_old,
                   std::uint16_t* c, std::int64_t ldc);

}  // namespace strata::amx
