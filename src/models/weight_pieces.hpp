#pragma once
// Weights piece by piece: what drawing them and loading them share.
#include <vector>

#include "strata/models/weights.hpp"

namespace strata {

constexpr std::int64_t piece_elements = std::int64_t{1} << 18;

/// Calls work(parameter, first, count) for pieces of all that the store keeps, on the stream's threads.
inline void for_pieces(Stream& stream, const ParameterSet& set, const WeightStore& store,
                       FunctionRef<void(int, std::int64_t, std::int64_t)> work) {
  const std::vector<WeightPiece> pieces = weight_pieces(set, store, piece_elements);
  stream.pool().run(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t task, int) {
    const WeightPiece& piece = pieces[static_cast<std::size_t>(task)];
    work(piece.parameter, piece.first, piece.count);
  });
}

/// Elements [first, first + count) of a parameter as random_weights draws them; first is a multiple of 4.
std::vector<float> random_values(const Parameter& parameter, double range, std::uint64_t seed, std::int64_t first, std::int64_t count);

}  // namespace strata
