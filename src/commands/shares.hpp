#pragma once
// Shares: how many micro-batches of a step each rank computes, who waits for whom, and on which numbers of ranks nobody would.
#include <cstdint>
#include <string>
#include <vector>

namespace strata {

/// What is dealt to ranks: whole blocks to groups, micro-batches inside a group (LeafRounds).
struct Dealing {
  std::int64_t leaves = 1, block = 1;
  bool scatters = false;  // all ranks of a group take micro-batches; otherwise every rank is a group
  int group = 0;          // [ranks]; 0: all of them
};

struct Shares {
  std::vector<std::int64_t> of_rank;  // [micro-batches]
  std::int64_t most = 0;              // of a rank, or where ranks of a group wait for one another, rounds
  /// Part of a step's computing time for which ranks are busy, on average.
  double busy() const;
  bool even() const;
};

/// For a number of ranks, which must be a multiple of the group.
Shares shares_of(const Dealing& dealing, int ranks);
/// "ranks 2 to 3 half of a step, rank 4 all of it": who waits how long, at most three stretches of ranks.
std::string idle_text(const Shares& shares);
/// The next numbers of ranks below and above (up to twice as many) on which nobody waits; 0: there is none.
struct EvenRanks {
  int below = 0, above = 0;
};
EvenRanks even_ranks(const Dealing& dealing, int ranks);

}  // namespace strata
