// Preflight of the batch's arithmetic: micro-batches and blocks dealt to ranks, threads to cores.
#include <unistd.h>

#include <algorithm>

#include "commands/preflight.hpp"
#include "commands/shares.hpp"
#include "strata/base/clock.hpp"
#include "strata/device/thread_pool.hpp"
#include "strata/parallel/reduction.hpp"

namespace strata {
namespace {

bool power_of_two(std::int64_t n) {
  return (n & (n - 1)) == 0;
}

/// Subtrees of the reduction that all ranks bring to the exchange: one each on a power of two.
std::int64_t exchanged_pieces(std::int64_t blocks, int ranks) {
  std::int64_t pieces = 0;
  for (int r = 0; r < ranks; ++r)
    pieces += static_cast<std::int64_t>(aligned_subtrees(first_leaf(blocks, 1, r, ranks), first_leaf(blocks, 1, r + 1, ranks)).size());
  return pieces;
}

// How the strategy deals micro-batches; what is not known of the ranks' hosts yet is left to the run.
Dealing dealing_of(const Preflight& p, std::int64_t leaves) {
  const ParallelConfig& c = p.s.parallel;
  const bool groups = c.strategy == "hybrid";
  const int group = c.group > 0 ? static_cast<int>(c.group) : p.launch.local_size();
  return {leaves, p.s.batch.block, groups || c.strategy == "zero2" || c.strategy == "fsdp",
          groups && p.launch.size() % group == 0 ? group : 0};
}

// The rank with most micro-batches decides how long a step takes.
void check_shares(Preflight& p, const Dealing& dealing) {
  const int ranks = p.launch.size();
  const Shares shares = shares_of(dealing, ranks);
  if (shares.even()) return;
  const auto idle = std::count(shares.of_rank.begin(), shares.of_rank.end(), 0);
  const auto busy = static_cast<std::int64_t>(100 * shares.busy());
  const std::string step =
      text("a step has ", dealing.leaves, dealing.leaves == 1 ? " micro-batch" : " micro-batches",
           dealing.block > 1 && !(dealing.scatters && dealing.group == 0) ? text(" in blocks of ", dealing.block) : "");
  const EvenRanks even = even_ranks(dealing, ranks);
  const std::string counts =
      text(even.below > 0 ? text(even.below) : "", even.below > 0 && even.above > 0 ? " or " : "", even.above > 0 ? text(even.above) : "");
  const char* key = p.s.batch.global > 0 ? "batch.global" : "batch.accumulation";
  const Severity severity = idle > 0 || busy < 90 ? Severity::warning : Severity::note;
  p.findings.add(
      {severity, ExitCode::done, idle > 0 ? "batch.idle" : "batch.uneven", key, p.session.deck.where(key),
       text(step, " for ", ranks, " ranks, which are busy ", busy, "% of its computing: ", idle_text(shares)),
       text(counts.empty() ? "" : text("on ", counts, counts == "1" ? " rank" : " ranks", " nobody idles"),
            counts.empty() || idle == 0 ? "" : "; or ", idle > 0 ? "make more of batch.global / batch.micro / batch.block" : "")});
}

void check_reduction(Preflight& p, std::int64_t blocks) {
  const int ranks = p.launch.size();
  if (ranks == 1 || power_of_two(ranks) || p.s.parallel.reduction == "fast") return;
  const std::int64_t pieces = exchanged_pieces(blocks, ranks), least = std::min<std::int64_t>(ranks, blocks);
  const double gradient = 4.0 * static_cast<double>(p.model ? p.model->parameters().elements() : 0);
  if (pieces > least)
    p.findings.note("batch.ranks", "",
                    text(ranks, " ranks are no power of two: they exchange ", pieces, " partial gradients of ", bytes_text(gradient),
                         " per step where a power of two exchanges one per rank; the result is the same"));
}

void check_node(Preflight& p) {
  const std::int64_t node = p.s.parallel.node, ranks = p.launch.size();
  if (node > 1 && ranks % node != 0)
    p.findings.warning("batch.node", "parallel.node",
                       text(ranks, " ranks do not divide into hosts of ", node, ": every gradient leaves alone, for the same result"),
                       "name a divisor of the number of ranks, or leave parallel.node = 0");
}

void check_threads(Preflight& p) {
  if (p.elsewhere) return;
  const auto cores = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  const int asked = p.s.device.threads, mine = default_threads(1), wanted = std::max(asked, 1) * p.launch.local_size();
  if (wanted > cores)
    p.findings.warning("batch.threads", "device.threads",
                       text(p.launch.local_size(), p.launch.local_size() == 1 ? " rank with " : " ranks with ", std::max(asked, 1),
                            asked > 1 ? " threads" : " thread", " each share ", cores, cores == 1 ? " core of " : " cores of ",
                            p.launch.host(), ": they will wait for one another"),
                       "start fewer ranks here, or leave device.threads = auto");
  else if (asked > mine)
    p.findings.warning("batch.bound", "device.threads",
                       text("device.threads = ", asked, ", but a rank may use ", mine, mine == 1 ? " core" : " cores", " of ", cores),
                       "mpirun --bind-to none (or srun --cpu-bind=none) lets its threads spread");
}

}  // namespace

void check_batch(Preflight& p) {
  if (p.launch.rank() != 0) return;
  check_threads(p);
  check_node(p);
  if (!p.steps || p.s.batch.micro < 1 || p.s.batch.block < 1) return;
  const std::int64_t leaves = p.steps->leaves(p.steps->sequences_at(0)), blocks = (leaves + p.s.batch.block - 1) / p.s.batch.block;
  const Dealing dealing = dealing_of(p, leaves);
  check_shares(p, dealing);
  if (!dealing.scatters) check_reduction(p, blocks);
}

}  // namespace strata
