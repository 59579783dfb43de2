#pragma once
// How the norms share rows among threads, from shapes alone: it decides the order of sums and the size of the workspace.
#include <cstdint>

#include "strata/base/dtype.hpp"
#include "strata/base/error.hpp"
#include "strata/ops/gpu_limits.hpp"

namespace strata::cuda {

/// A row belongs to a team of threads, each of which holds `packs` packs of 16 bytes of it in registers, so that a row is read once. A team
/// of up to 32 is part of a warp, a larger one is whole warps; `groups` teams make a block.
struct Teams {
  int team = 0, groups = 0, packs = 0;

  int threads() const { return team * groups; }
};

/// Rows that a thread takes at once, where a row is one pack to it, so that enough loads are under way; else one. Backward passes read two
/// tensors or three, which the compiler keeps widened to f32 across the sum: with two rows of bf16 that is 107 registers, with four it
/// spilled.
constexpr int forward_rows_each = 4, backward_rows_each = 2;

inline Teams teams_for(std::int64_t H, DType type) {
  const std::int64_t pack = 16 / static_cast<std::int64_t>(size_of(type)), n = (H + pack - 1) / pack;
  if (n <= 32) {
    const int team = n <= 8 ? 8 : n <= 16 ? 16 : 32;
    return {team, 256 / team, 1};
  }
  static_assert(512 * 8 * 16 == largest_gpu_norm_bytes);
  for (const int packs : {1, 2, 8})
    if (n <= std::int64_t{512} * packs) {
      const int team = static_cast<int>(((n + packs - 1) / packs + 31) / 32 * 32);
      return {team, packs > 1 || team > 256 ? 1 : 256 / team, packs};
    }
  throw InternalError(text("norms on a GPU take rows of up to ", largest_gpu_norm(type), " elements of ", name_of(type), ", found ", H));
}

/// Rows of one partial sum over rows: about 528 in all, four for each multiprocessor of an H200, whatever the GPU.
inline std::int64_t row_block(std::int64_t rows, const Teams& teams) {
  const std::int64_t step = teams.groups * (teams.packs == 1 ? backward_rows_each : 1);
  return ((rows + 527) / 528 + step - 1) / step * step;
}
inline std::int64_t row_blocks(std::int64_t rows, const Teams& teams) {
  return rows == 0 ? 0 : (rows + row_block(rows, teams) - 1) / row_block(rows, teams);
}

}  // namespace strata::cuda
