// Preflight of the batch's arithmetic: micro-batches and blocks dealt to ranks, threads to cores.
#include <unistd.h>

#include <algorithm>

#include "commands/preflight.hpp"
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

// Whether every micro-batch's gradient is scattered, so that ranks take micro-batches rather than whole blocks.
bool takes_leaves(const Preflight& p) {
  const std::string& strategy = p.s.parallel.strategy;
  return strategy == "zero2" || strategy == "fsdp";
}

// What is dealt to ranks; the one with the most decides how long a step takes.
void check_shares(Preflight& p, std::int64_t leaves, std::int64_t blocks) {
  const std::int64_t ranks = p.launch.size(), most = (blocks + ranks - 1) / ranks;
  const std::string step = blocks == leaves && p.s.batch.block > 1
                               ? text("a step has ", leaves, " micro-batches")
                               : text("a step has ", leaves, " micro-batches in ", blocks, blocks == 1 ? " block" : " blocks");
  if (ranks > blocks) {
    p.findings.warning(
        "batch.idle", p.s.batch.global > 0 ? "batch.global" : "batch.accumulation",
        text(step, " for ", ranks, " ranks: ", ranks - blocks, ranks - blocks == 1 ? " has" : " have", " nothing to do"),
        text("start ", blocks, blocks == 1 ? " rank" : " ranks", ", or make more of batch.global / batch.micro / batch.block"));
  } else if (blocks % ranks != 0) {
    const auto busy = static_cast<std::int64_t>(100.0 * static_cast<double>(blocks) / static_cast<double>(most * ranks));
    p.findings.add(
        {busy < 90 ? Severity::warning : Severity::note, ExitCode::done, "batch.uneven", "batch.global",
         p.session.deck.where("batch.global"),
         text(step, " for ", ranks, " ranks: some compute ", most, ", others ", most - 1, ", so ranks are busy ", busy, "% of a step"),
         busy < 90 ? "a number of ranks that divides the blocks wastes nothing" : ""});
  }
}

void check_reduction(Preflight& p, std::int64_t blocks) {
  const int ranks = p.launch.size();
  if (ranks == 1 || power_of_two(ranks) || p.s.parallel.reduction == "fast" || takes_leaves(p)) return;
  const std::int64_t pieces = exchanged_pieces(blocks, ranks), least = std::min<std::int64_t>(ranks, blocks);
  const double gradient = 4.0 * static_cast<double>(p.model ? p.model->parameters().elements() : 0);
  if (pieces > least)
    p.findings.note("batch.ranks", "",
                    text(ranks, " ranks are no power of two: they exchange ", pieces, " partial gradients of ", bytes_text(gradient),
                         " per step where a power of two exchanges one per rank; the result is the same"));
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
  if (!p.steps || p.s.batch.micro < 1 || p.s.batch.block < 1) return;
  const std::int64_t leaves = p.steps->leaves(p.steps->sequences_at(0)), blocks = (leaves + p.s.batch.block - 1) / p.s.batch.block;
  check_shares(p, leaves, takes_leaves(p) ? leaves : blocks);
  check_reduction(p, blocks);
}

}  // namespace strata
