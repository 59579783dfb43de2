// Preflight of memory: the arena's exact table, and what this host can give.
#include "commands/preflight.hpp"
#include "strata/base/clock.hpp"
#include "strata/checkpoint/async_writer.hpp"
#include "strata/checkpoint/writer.hpp"

namespace strata {

TrainShape train_shape(const Preflight& p) {
  TrainShape shape;
  shape.pass = {p.s.batch.micro, p.s.data.sequence};
  shape.compute = compute_type(p.session);
  shape.document_mask = p.s.data.mask_documents;
  shape.most_leaves = p.steps->most_leaves();
  shape.block = p.s.batch.block;
  shape.fast_reduction = p.s.parallel.reduction == "fast";
  shape.step = {p.s.optimizer, p.s.train.clip, p.s.train.loss == "microbatch_mean"};
  return shape;
}

// Said now rather than by the kernel's out-of-memory killer hours later. Every rank of the host counts its own.
void check_memory(Preflight& p) {
  if (!p.model || !p.steps) return;
  p.plan.emplace(plan_training(p.launch, *p.model, train_shape(p), threads_of(p.session)));
  Arena counting;
  const TrainState state(counting, p.model->parameters(), compute_type(p.session));
  p.checkpoint_bytes = checkpoint_bytes(state.checkpoint_tensors(0, 1));
  if (p.s.checkpoint.asynchronous)
    p.snapshot_bytes = AsyncCheckpointWriter::snapshot_bytes(state.checkpoint_tensors(p.launch.rank(), p.launch.size()));
  const std::int64_t one = p.plan->bytes + p.snapshot_bytes, needed = one * p.launch.local_size(), available = available_memory_bytes();
  if (needed > available)
    p.findings.error(
        ExitCode::capacity, "memory", "batch.micro",
        text("this run needs ", bytes_text(static_cast<double>(needed)), " on ", p.launch.host(), " (", p.launch.local_size(), " ranks of ",
             bytes_text(static_cast<double>(one)), "), ", bytes_text(static_cast<double>(available)), " are free"),
        "fewer ranks per host, a smaller batch.micro or data.sequence, a larger batch.block, or checkpoint.asynchronous = "
        "false need less");
}

}  // namespace strata
