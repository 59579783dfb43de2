#pragma once
// Small products on one thread whose operands are used several times (attention): each is packed once.
#include <cstdint>

#include "strata/base/dtype.hpp"
#include "strata/device/blas.hpp"

namespace strata {

struct BlockWork;

/// Elements [first, last); empty where they are equal.
struct Range {
  std::int64_t first, last;
};

/// The left operand A[outers, depth] or the right one, B[depth, outers], of small products. pack() brings it into the form that our own
/// kernels multiply; without one for its type, or without memory, an operand is what lies in `matrix`.
class BlockOperand {
 public:
  enum class Side { left, right };

  BlockOperand() = default;
  /// Packs nothing yet. `memory` (64-byte aligned) holds bytes(), or is null.
  BlockOperand(Side side, DType type, const MatrixRef& matrix, std::int64_t outers, std::int64_t depth, void* memory);
  /// What a packed operand takes, a multiple of 64; 0 where no kernel of ours multiplies the type.
  static std::int64_t bytes(Side side, DType type, std::int64_t outers, std::int64_t depth);
  /// Must come before the first product, and again when the matrix or what else shares the memory has changed.
  void pack() const;

 private:
  friend void multiply_blocks(const BlockOperand& a, const BlockOperand& b, const BlockWork& work, void* c, std::int64_t ldc, void* scratch,
                              std::int64_t scratch_bytes);
  Side side_ = Side::left;
  DType type_ = DType::f32;
  MatrixRef matrix_;
  std::int64_t outers_ = 0, depth_ = 0;
  void* memory_ = nullptr;
};

/// C[m,n] (=|+=) factor A[m,k] B[k,n], m and k those of A: f32 from f32 or bf16, f64 from f64; sums in f32 (f64) in the order of depth,
/// with the bits of gemm_tile(); then one rounding of factor * sum, or of factor * sum + C. What is told below leaves work out.
struct BlockWork {
  std::int64_t n;                  // columns of C, at most those of B, whose depth may be larger than A's
  const Range* columns = nullptr;  // of each row of C: outside of them C is not wanted, and may become anything; null: all are
  const Range* depths = nullptr;   // of each row of A: outside of them A is zero; null: nowhere
  double factor = 1;
  Write write = Write::set;
};

/// `scratch` (64-byte aligned) holds at least m * n sums and a cache line; where no operand is packed, gemm_tile() takes what is left.
void multiply_blocks(const BlockOperand& a, const BlockOperand& b, const BlockWork& work, void* c, std::int64_t ldc, void* scratch,
                     std::int64_t scratch_bytes);

}  // namespace strata
