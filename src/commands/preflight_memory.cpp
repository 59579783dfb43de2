// Preflight of memory: the arena's exact table, and what this host can give.
#include <algorithm>

#include "commands/alternatives.hpp"
#include "commands/attention_source.hpp"
#include "strata/base/clock.hpp"
#include "strata/checkpoint/async_writer.hpp"
#include "strata/checkpoint/writer.hpp"
#include "strata/comm/gpu_communicator.hpp"
#include "strata/device/compute_device.hpp"

namespace strata {

TrainShape train_shape(const Preflight& p) {
  return train_shape(p.s, p.launch.size());
}

TrainShape train_shape(const Settings& s, int ranks) {
  TrainShape shape;
  shape.device = resolve_device(s.device.kind);
  shape.pass = {s.batch.micro, s.data.sequence};
  shape.compute = dtype_from_name(s.precision.compute);
  shape.document_mask = s.data.mask_documents;
  shape.seed = s.run.seed;
  shape.activations = activation_policy(s.parallel);
  TrainConfig one_step;  // the leaves of a step follow from the batch alone
  one_step.max_steps = 1;
  shape.reduction.most_leaves = StepPlan(s.batch, one_step, 1, ranks).most_leaves();
  shape.reduction.block = s.batch.block;
  shape.reduction.fast = s.parallel.reduction == "fast";
  shape.reduction.bucket = s.parallel.bucket;
  shape.reduction.overlap = s.parallel.overlap;
  shape.strategy = s.parallel.strategy;
  shape.group = static_cast<int>(s.parallel.group), shape.node = static_cast<int>(s.parallel.node);
  shape.prefetch = s.parallel.overlap ? static_cast<int>(s.parallel.prefetch) : 0;
  const auto offloads = [&](const char* what) { return std::ranges::count(s.parallel.offload, what) > 0; };
  shape.offload_parameters = offloads("parameters"), shape.offload_optimizer = offloads("optimizer");
  shape.step = {s.optimizer, s.train.clip, s.train.loss == "microbatch_mean", s.train.non_finite == "skip"};
  shape.attention = attention_kernels(s, shape.device);
  shape.graphs = shape.device == DeviceKind::cuda && s.device.graphs != "off" && graphs_hindrance(s).empty();
  shape.graphs_required = s.device.graphs == "on";
  return shape;
}

RankPlan plan_rank(const Model& model, const Settings& s, const Communicator& launch, int threads) {
  RankPlan rank{plan_training(launch, model, train_shape(s, launch.size()), threads), 0, 0};
  Arena counting;
  const auto ranks = make_plan_communicator(launch.size(), launch.local_size());
  const Mesh mesh(*ranks, strategy_of(s.parallel.strategy), static_cast<int>(s.parallel.group), static_cast<int>(s.parallel.node));
  const TrainState state(counting, dtype_from_name(s.precision.compute), StateLayout::of(model.parameters(), mesh));
  rank.checkpoint_bytes = checkpoint_bytes(state.checkpoint_tensors());
  if (s.checkpoint.asynchronous) rank.snapshot_bytes = AsyncCheckpointWriter::snapshot_bytes(state.checkpoint_tensors());
  return rank;
}

void make_plan(Preflight& p) {
  RankPlan rank = plan_rank(*p.model, p.s, p.launch, p.threads);
  p.plan.emplace(std::move(rank.plan));
  p.checkpoint_bytes = rank.checkpoint_bytes, p.snapshot_bytes = rank.snapshot_bytes;
  if (device_of(p.session) == DeviceKind::cuda) p.gpu_bytes = p.plan->bytes - p.plan->host_bytes;
}

namespace {

// What of the arena lies on a GPU against what that has free. Ranks that share one add up.
void check_gpu_memory(Preflight& p) {
  const std::int64_t one = p.gpu_bytes;
  int devices = 0;
  std::int64_t free = 0;
  std::string name;
  const auto look = [&] {
    devices = std::max(1, cuda_half().devices());
    const auto gpu = open_gpu(p.launch.local_rank() % devices, devices);
    free = gpu->free_bytes(), name = gpu->facts().name;
  };
  if (!p.findings.attempt("device.open", "device.kind", "", look)) return;
  const int sharing = (p.launch.local_size() + devices - 1) / devices;
  p.shares_gpu = sharing > 1;
  const bool by_nccl = !p.shares_gpu && p.plan->staging_bytes > 0;
  if (by_nccl && one <= free && one + nccl_allowance_bytes > free)
    p.findings.warning("memory.nccl", "batch.micro",
                       text("this run leaves ", bytes_text(static_cast<double>(free - one)), " of ", name, " free, and NCCL may take ",
                            bytes_text(static_cast<double>(nccl_allowance_bytes))),
                       "NCCL_BUFFSIZE and NCCL_MAX_NCHANNELS make it take less");
  if (one * sharing <= free) return;
  const std::string found = text("this run needs ", bytes_text(static_cast<double>(one * sharing)), " on each GPU",
                                 sharing > 1 ? text(" (", sharing, " ranks share one)") : "", ", ", name, " has ",
                                 bytes_text(static_cast<double>(free)), " free");
  const char* remedy =
      "shard more (parallel.strategy = fsdp), parallel.recompute, parallel.offload, a smaller batch.micro or data.sequence need less";
  if (p.elsewhere)
    p.findings.warning("memory.gpu_here", "batch.micro", found + " here", text("the batch script's GPUs need that much; ", remedy));
  else
    p.findings.error(ExitCode::capacity, "memory.gpu", "batch.micro", found, remedy);
}

}  // namespace

// Said now rather than by the kernel's out-of-memory killer hours later. Every rank of the host counts its own.
void check_memory(Preflight& p) {
  if (!p.model || (p.s.batch.global == 0 && p.s.batch.accumulation.empty())) return;
  if (!p.device_fits || (p.model->answers_questions() && p.s.data.mask_documents)) return;  // told with the model
  if (!p.findings.attempt("memory.plan", "batch.micro", "", [&] { make_plan(p); })) return;
  if (device_of(p.session) == DeviceKind::cuda && p.device_here) check_gpu_memory(p);
  const std::int64_t staging = p.shares_gpu ? p.plan->staging_bytes : 0;
  const std::int64_t one = p.plan->bytes - p.gpu_bytes + p.snapshot_bytes + staging;
  p.memory_needed = one * p.launch.local_size(), p.memory_available = available_memory_bytes();
  if (p.memory_needed <= p.memory_available) return;
  const std::string found =
      text("this run needs ", bytes_text(static_cast<double>(p.memory_needed)), " on ", p.launch.host(), " (", p.launch.local_size(),
           p.launch.local_size() == 1 ? " rank of " : " ranks of ", bytes_text(static_cast<double>(one)), "), ",
           bytes_text(static_cast<double>(p.memory_available)), " are free");
  const std::string change = smallest_change(p, p.memory_available);
  const std::string remedy =
      (change.empty() ? "" : change + "; or ") +
      "fewer ranks per host, a smaller batch.micro or data.sequence, a larger batch.block, or checkpoint.asynchronous = false need less";
  if (p.elsewhere)
    p.findings.warning("memory.here", "batch.micro", found + " here", "the batch script's hosts need that much; " + remedy);
  else
    p.findings.error(ExitCode::capacity, "memory", "batch.micro", found, remedy);
}

}  // namespace strata
