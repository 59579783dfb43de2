#pragma once
// Weights piece by piece: what drawing them and loading them share.
#include <vector>

#include "strata/models/weights.hpp"

namespace strata {

constexpr std::int64_t piece_elements = std::int64_t{1} << 18;

/// Calls work(parameter, first, count) for pieces of all that the store keeps, on the stream's threads.
inline void for_pieces(Stream& stream, const ParameterSet& set, const WeightStore& store,
                       FunctionRef<void(int, std::int64_t, std::int64_t)> work) {
  struct Piece {
    int parameter;
    std::int64_t first, count;
  };
  std::vector<Piece> pieces;
  for (std::size_t p = 0; p < set.parameters().size(); ++p)
    for (std::int64_t first = 0, n = set.parameters()[p].elements(); first < n; first += piece_elements)
      if (const std::int64_t count = std::min(piece_elements, n - first); store.holds(static_cast<int>(p), {first, first + count}))
        pieces.push_back({static_cast<int>(p), first, count});
  stream.pool().run(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t task, int) {
    const Piece& piece = pieces[static_cast<std::size_t>(task)];
    work(piece.parameter, piece.first, piece.count);
  });
}

/// Elements [first, first + count) of a parameter as random_weights draws them; first is a multiple of 4.
std::vector<float> random_values(const Parameter& parameter, double range, std::uint64_t seed, std::int64_t first, std::int64_t count);

}  // namespace strata
