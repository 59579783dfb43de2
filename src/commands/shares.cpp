#include "commands/shares.hpp"

#include <algorithm>
#include <cmath>

#include "strata/base/error.hpp"
#include "strata/parallel/strategy.hpp"

namespace strata {
namespace {

// "20% of a step"
std::string part_text(double part) {
  const auto percent = static_cast<std::int64_t>(std::lround(100 * part));
  return percent == 100 ? std::string("all of a step") : text(percent, "% of a step");
}

}  // namespace

double Shares::busy() const {
  double sum = 0;
  for (const std::int64_t leaves : of_rank) sum += static_cast<double>(leaves);
  return most == 0 ? 0 : sum / static_cast<double>(most) / static_cast<double>(of_rank.size());
}

bool Shares::even() const {
  return std::all_of(of_rank.begin(), of_rank.end(), [&](std::int64_t leaves) { return leaves == most; });
}

Shares shares_of(const Dealing& dealing, int ranks) {
  const int shards = !dealing.scatters ? 1 : dealing.group > 0 ? dealing.group : ranks, groups = ranks / shards;
  const LeafRounds rounds(dealing.leaves, dealing.block, shards, groups);
  Shares shares;
  for (int group = 0; group < groups; ++group) {
    const std::int64_t run = rounds.last(group) - rounds.first(group);
    shares.most = std::max(shares.most, rounds.rounds(group));
    for (int shard = 0; shard < shards; ++shard) shares.of_rank.push_back((run - shard + shards - 1) / shards);
  }
  return shares;
}

std::string idle_text(const Shares& shares) {
  constexpr int most_stretches = 3;
  const auto ranks = static_cast<int>(shares.of_rank.size());
  std::string words;
  int stretches = 0;
  for (int first = 0; first < ranks;) {
    const std::int64_t leaves = shares.of_rank[static_cast<std::size_t>(first)];
    int last = first;
    while (last + 1 < ranks && shares.of_rank[static_cast<std::size_t>(last + 1)] == leaves) ++last;
    if (leaves < shares.most && ++stretches > most_stretches) return words + ", and others";
    if (leaves < shares.most)
      words +=
          text(words.empty() ? "" : ", ", first == last ? text("rank ", first, " idles ") : text("ranks ", first, " to ", last, " idle "),
               part_text(1 - static_cast<double>(leaves) / static_cast<double>(shares.most)));
    first = last + 1;
  }
  return words;
}

EvenRanks even_ranks(const Dealing& dealing, int ranks) {
  const int step = dealing.scatters && dealing.group > 0 ? dealing.group : 1;
  EvenRanks even;
  for (int n = ranks - step; n > 0 && even.below == 0; n -= step)
    if (shares_of(dealing, n).even()) even.below = n;
  for (int n = ranks + step; n <= 2 * ranks && n <= dealing.leaves && even.above == 0; n += step)
    if (shares_of(dealing, n).even()) even.above = n;
  return even;
}

}  // namespace strata
