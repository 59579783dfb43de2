#pragma once
// Alternatives to a run: other strategies, micro-batches and recomputation, what they need and how long they take.
#include <string>
#include <utility>
#include <vector>

#include "commands/preflight.hpp"
#include "strata/train/step_time.hpp"

namespace strata {

/// A run that differs from the deck's in a few keys.
struct Alternative {
  std::vector<std::pair<std::string, std::string>> keys;  // "parallel.strategy" -> "fsdp", all that are compared
  bool same_bits = true;                                  // batch.micro is the deck's
  int ranks = 1;
  std::int64_t host_bytes = 0;
  StepTime time;
  const std::string& value(const std::string& key) const;
  /// "--parallel.strategy=fsdp --batch.micro=4"
  std::string options() const;
};

/// A machine whose figures are round numbers, for choices that must not depend on measurements; its memory is that of this host.
Machine assumed_machine(std::int64_t cores);

/// Threads of a rank on a machine: what the deck says, otherwise the cores of a host over its ranks.
int threads_on(const Machine& machine, const Preflight& p);

/// The run of `p` on a machine with some keys changed. Nothing where the keys do not take the values, or the ranks do not suit them.
std::optional<Alternative> foresee(const Preflight& p, const Machine& machine, int ranks,
                                   const std::vector<std::pair<std::string, std::string>>& keys);

/// Strategies x micro-batches x recomputation that fit into `memory` bytes of a host, fastest first; equally fast ones in the order ddp,
/// zero1, zero2, fsdp, hybrid, then less recomputation, then larger micro-batches. Local.
std::vector<Alternative> compare(const Preflight& p, const Machine& machine, std::int64_t memory);
/// The fastest strategy of those that fit; if none does, the one that needs least. Local.
std::string best_strategy(const Preflight& p, const Machine& machine, std::int64_t memory);
/// What to change least so that the run fits, in words with the bytes it then needs, what keeps the bits first; empty: nothing was found.
std::string smallest_change(const Preflight& p, std::int64_t memory);

/// parallel.strategy = auto becomes a strategy, and the deck says so. Local.
void settle_strategy(Session& session, const Communicator& launch);
/// The same for a run of the session's ranks, where rank 0 decides for all. Collective.
void agree_strategy(Session& session);

}  // namespace strata
