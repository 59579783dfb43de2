// The report of `strata plan`, as text and as JSON.
#include "commands/plan_report.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "strata/base/clock.hpp"
#include "strata/comm/gpu_communicator.hpp"

namespace strata {
namespace {

using Json = nlohmann::ordered_json;

template <class... Args>
std::string formatted(const char* form, Args... args) {
  char buffer[300];
  std::snprintf(buffer, sizeof buffer, form, args...);
  return buffer;
}

std::string bytes_of(std::int64_t bytes) {
  return bytes_text(static_cast<double>(bytes));
}

// "activations.layer.12.x" -> "activations.layer.*.x"
std::string without_numbers(const std::string& name) {
  std::string result;
  for (std::size_t at = 0; at < name.size();) {
    std::size_t end = std::min(name.find('.', at), name.size());
    const bool number =
        end > at && std::all_of(name.begin() + static_cast<std::ptrdiff_t>(at), name.begin() + static_cast<std::ptrdiff_t>(end),
                                [](unsigned char c) { return std::isdigit(c); });
    result += (at > 0 ? "." : "") + (number ? std::string("*") : name.substr(at, end - at));
    at = end + 1;
  }
  return result;
}

constexpr Call kinds[] = {Call::exchange, Call::parameters,  Call::gradients, Call::sums,   Call::gather,
                          Call::reduce,   Call::fast_reduce, Call::broadcast, Call::barrier};

Json traffic_json(const Traffic& traffic) {
  Json rows = Json::array();
  for (const Call call : kinds) {
    const TrafficRow& row = traffic[call];
    if (row.calls > 0)
      rows.push_back({{"name", name_of(call)},
                      {"calls", row.calls},
                      {"messages", row.messages},
                      {"sent_host_bytes", row.sent.host},
                      {"sent_network_bytes", row.sent.network},
                      {"received_host_bytes", row.received.host},
                      {"received_network_bytes", row.received.network}});
  }
  return rows;
}

Json memory_json(const Preflight& p) {
  Json groups = Json::array(), regions = Json::array();
  for (const ArenaEntry& group : p.plan->groups) groups.push_back({{"name", group.name}, {"bytes", group.bytes}});
  for (const ArenaEntry& entry : p.plan->entries) regions.push_back({{"name", entry.name}, {"bytes", entry.bytes}});
  return {{"arena_bytes", p.plan->bytes},
          {"snapshot_bytes", p.snapshot_bytes},
          {"gpu_bytes", p.gpu_bytes},
          {"staging_bytes", p.plan->staging_bytes},
          {"rank_bytes", p.plan->bytes + p.snapshot_bytes},
          {"host_bytes", p.memory_needed},
          {"host_memory_bytes", p.memory_available},
          {"groups", groups},
          {"regions", regions}};
}

Json step_json(const TrainPlan& plan) {
  Json ops = Json::array();
  for (const auto& [name, cost] : plan.step)
    ops.push_back({{"name", name}, {"calls", cost.calls}, {"flops", cost.flops}, {"bytes", cost.bytes}});
  return {{"micro_batches", plan.leaves},
          {"micro_batches_of_rank_0", plan.rounds},
          {"most_micro_batches_of_a_rank", plan.most_rounds},
          {"ops", ops},
          {"traffic", traffic_json(plan.traffic)}};
}

}  // namespace

std::vector<MemoryRow> memory_rows(const std::vector<ArenaEntry>& entries) {
  std::vector<MemoryRow> rows;
  for (const ArenaEntry& entry : entries) {
    const std::string name = without_numbers(entry.name);
    auto row = std::find_if(rows.begin(), rows.end(), [&](const MemoryRow& r) { return r.name == name; });
    if (row == rows.end()) row = rows.insert(rows.end(), MemoryRow{name, 0, 0});
    row->regions += 1, row->bytes += entry.bytes;
  }
  return rows;
}

std::string plan_memory_text(const Preflight& p) {
  const TrainPlan& plan = *p.plan;
  std::string out = "Memory of a rank\n";
  const std::vector<MemoryRow> rows = memory_rows(plan.entries);
  for (const ArenaEntry& group : plan.groups) {
    out +=
        formatted("  %-44s %18lld bytes  %10s\n", group.name.c_str(), static_cast<long long>(group.bytes), bytes_of(group.bytes).c_str());
    for (const MemoryRow& row : rows)
      if (row.name.substr(0, row.name.find('.')) == group.name)
        out += formatted("    %-42s %18lld %s\n", row.name.c_str(), static_cast<long long>(row.bytes),
                         row.regions > 1 ? text("in ", row.regions, " regions").c_str() : "");
  }
  out += formatted("  %-44s %18lld bytes  %10s  (taken once, so also the most at any time)\n", "arena", static_cast<long long>(plan.bytes),
                   bytes_of(plan.bytes).c_str());
  if (plan.staging_bytes > 0) {
    out += formatted("  %-44s %18lld bytes  %10s  (page-locked, of the host: only where ranks share a GPU, or without NCCL)\n",
                     "staging of data between GPUs", static_cast<long long>(plan.staging_bytes), bytes_of(plan.staging_bytes).c_str());
    out += formatted("  %-44s %18lld bytes  %10s  (of the GPU: an allowance, only where NCCL carries the data)\n", "NCCL",
                     static_cast<long long>(nccl_allowance_bytes), bytes_of(nccl_allowance_bytes).c_str());
  }
  if (p.snapshot_bytes > 0)
    out += formatted("  %-44s %18lld bytes  %10s\n", "snapshot, while a checkpoint is written", static_cast<long long>(p.snapshot_bytes),
                     bytes_of(p.snapshot_bytes).c_str());
  return out;
}

std::string traffic_text(const Traffic& traffic) {
  if (traffic.all().calls == 0) return "";
  std::string out = formatted("Communication of a step, rank 0\n  %-14s %10s %12s %14s %14s %14s %14s\n", "", "calls", "messages",
                              "sent to host", "to others", "from host", "from others");
  for (const Call call : kinds) {
    const TrafficRow& row = traffic[call];
    if (row.calls > 0)
      out += formatted("  %-14s %10lld %12lld %14s %14s %14s %14s\n", name_of(call), static_cast<long long>(row.calls),
                       static_cast<long long>(row.messages), bytes_of(row.sent.host).c_str(), bytes_of(row.sent.network).c_str(),
                       bytes_of(row.received.host).c_str(), bytes_of(row.received.network).c_str());
  }
  return out;
}

std::string work_text(const TrainPlan& plan) {
  std::string out = formatted("Work of a step, rank 0: %lld of %lld micro-batches\n", static_cast<long long>(plan.rounds),
                              static_cast<long long>(plan.leaves));
  for (const auto& [name, cost] : plan.step)
    out += formatted("  %-32s %10lld calls %12.4g GFLOP %12.4g GB\n", name.c_str(), static_cast<long long>(cost.calls), cost.flops * 1e-9,
                     cost.bytes * 1e-9);
  return out;
}

std::string time_text(const StepTime& time) {
  std::string out = "Time of a step\n";
  for (const TimeTerm& term : time.terms) {
    out += formatted("  %-32s %12.3f ms %6.1f%%", term.name.c_str(), term.seconds * 1e3, 100 * term.seconds / time.seconds());
    out += (term.hidden > 0 ? formatted("  and %.3f ms behind computation", term.hidden * 1e3) : "") + "\n";
  }
  out += formatted("  %-32s %12.3f ms         computation %.3f, communication %.3f\n", "step", time.seconds() * 1e3, time.compute * 1e3,
                   time.communication * 1e3);
  out += formatted("  %.0f tokens/s, %.1f%% of the machine's peak (MFU)\n", time.tokens_per_s, 100 * time.mfu);
  for (const std::string& guess : time.guessed) out += "  not measured, assumed: " + guess + "\n";
  return out;
}

namespace {

std::string scaling_text(const std::vector<ScaleRow>& rows) {
  std::string out = formatted("Scaling\n  %7s %8s %14s %14s %8s %8s\n", "hosts", "ranks", "ms/step", "tokens/s", "MFU", "memory");
  for (const ScaleRow& row : rows)
    out += formatted("  %7d %8d %14.3f %14.0f %7.1f%% %s\n", row.hosts, row.ranks, row.time.seconds() * 1e3, row.time.tokens_per_s,
                     100 * row.time.mfu, bytes_of(row.rank_bytes).c_str());
  return out;
}

Json time_json(const StepTime& time) {
  Json terms = Json::array();
  for (const TimeTerm& term : time.terms)
    terms.push_back({{"name", term.name}, {"seconds", term.seconds}, {"hidden_seconds", term.hidden}});
  return {{"seconds", time.seconds()},
          {"compute_seconds", time.compute},
          {"communication_seconds", time.communication},
          {"tokens_per_s", time.tokens_per_s},
          {"mfu", time.mfu},
          {"terms", terms},
          {"assumed", time.guessed}};
}

}  // namespace

std::string plan_text(const PlannedRun& run) {
  const Preflight& p = run.p;
  const TrainPlan& plan = *p.plan;
  std::string out = text("model   ", p.model->family(), ", ", p.model->parameters().elements(), " parameters, ", p.s.precision.compute,
                         "\nlaunch  ", p.launch.size(), p.launch.size() == 1 ? " rank, " : " ranks, ", p.launch.local_size(),
                         " on a host, ", p.threads, p.threads == 1 ? " thread" : " threads", " each\nbatch   ", plan.leaves,
                         " micro-batches of ", p.s.batch.micro, " x ", p.s.data.sequence, " tokens; a rank computes at most ",
                         plan.most_rounds, "\nrun     parallel.strategy = ", p.s.parallel.strategy,
                         ", parallel.reduction = ", p.s.parallel.reduction, ", parallel.recompute = ", p.s.parallel.recompute, "\n\n");
  out += plan_memory_text(p) + "\n" + work_text(plan);
  if (const std::string traffic = traffic_text(plan.traffic); !traffic.empty()) out += "\n" + traffic;
  if (run.time) out += "\n" + time_text(*run.time);
  if (run.scaling.size() > 1) out += "\n" + scaling_text(run.scaling);
  if (p.gpu_bytes > 0) out += text("\nA rank's GPU needs ", bytes_of(p.gpu_bytes));
  out += text(p.machine && p.machine->gpus > 0 ? "\nThe GPUs of a host need " : "\nA host needs ", bytes_of(p.memory_needed), " of ",
              bytes_of(p.memory_available), ": ", p.memory_needed <= p.memory_available ? "it fits" : "it does not fit", "\n");
  return out;
}

std::string plan_json(const PlannedRun& run) {
  const Preflight& p = run.p;
  Json all = {
      {"model", {{"family", p.model->family()}, {"parameters", p.model->parameters().elements()}, {"compute", p.s.precision.compute}}},
      {"launch", {{"ranks", p.launch.size()}, {"ranks_per_host", p.launch.local_size()}, {"threads", p.threads}}},
      {"batch",
       {{"micro", p.s.batch.micro}, {"sequence", p.s.data.sequence}, {"tokens", p.plan->leaves * p.s.batch.micro * p.s.data.sequence}}},
      {"parallel", {{"strategy", p.s.parallel.strategy}, {"reduction", p.s.parallel.reduction}, {"recompute", p.s.parallel.recompute}}},
      {"fits", p.memory_needed <= p.memory_available},
      {"memory", memory_json(p)},
      {"step", step_json(*p.plan)}};
  if (run.time) all["time"] = time_json(*run.time);
  for (const ScaleRow& row : run.scaling)
    all["scaling"].push_back({{"hosts", row.hosts},
                              {"ranks", row.ranks},
                              {"seconds", row.time.seconds()},
                              {"tokens_per_s", row.time.tokens_per_s},
                              {"mfu", row.time.mfu},
                              {"rank_bytes", row.rank_bytes}});
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string comparison_text(const Comparison& c) {
  std::string out = text("Runs on ", c.p.launch.size(), " ranks, ", c.p.launch.local_size(), " on a host, that fit ", bytes_of(c.memory),
                         " of a host, fastest first; times by ",
                         c.measured ? "the machine file\n" : "round figures of a machine: name one in plan.machine\n");
  if (c.runs.empty()) {
    const std::string change = smallest_change(c.p, c.memory);
    return out + "none" + (change.empty() ? "" : "; " + change) + "\n";
  }
  out += formatted("  %12s %12s %7s %11s  %-8s %6s %-10s %s\n", "ms/step", "tokens/s", "MFU", "a host", "strategy", "micro", "recompute",
                   "bits");
  for (const Alternative& a : c.runs)
    out += formatted("  %12.3f %12.0f %6.1f%% %11s  %-8s %6s %-10s %s\n", a.time.seconds() * 1e3, a.time.tokens_per_s, 100 * a.time.mfu,
                     bytes_of(a.host_bytes).c_str(), a.value("parallel.strategy").c_str(), a.value("batch.micro").c_str(),
                     a.value("parallel.recompute").c_str(), a.same_bits ? "the same" : "others");
  const auto lines = [](const Alternative& a) {
    return text("[parallel]\nstrategy  = ", a.value("parallel.strategy"), "\nrecompute = ", a.value("parallel.recompute"),
                "\n[batch]\nmicro     = ", a.value("batch.micro"), "\n");
  };
  const auto same = std::find_if(c.runs.begin(), c.runs.end(), [](const Alternative& a) { return a.same_bits; });
  if (same != c.runs.end()) out += "\n# the fastest that gives the same bits as the deck\n" + lines(*same);
  if (same != c.runs.begin()) out += "\n# the fastest of all; another batch.micro gives other last bits\n" + lines(c.runs.front());
  return out;
}

std::string comparison_json(const Comparison& c) {
  Json runs = Json::array();
  for (const Alternative& a : c.runs)
    runs.push_back({{"strategy", a.value("parallel.strategy")},
                    {"micro", a.value("batch.micro")},
                    {"recompute", a.value("parallel.recompute")},
                    {"options", a.options()},
                    {"same_bits", a.same_bits},
                    {"host_bytes", a.host_bytes},
                    {"seconds", a.time.seconds()},
                    {"tokens_per_s", a.time.tokens_per_s},
                    {"mfu", a.time.mfu}});
  const Json all = {{"launch", {{"ranks", c.p.launch.size()}, {"ranks_per_host", c.p.launch.local_size()}, {"threads", c.p.threads}}},
                    {"host_memory_bytes", c.memory},
                    {"measured_machine", c.measured},
                    {"runs", runs}};
  return all.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string guarantee_text(const std::string& reduction) {
  if (reduction == "fast")
    return "Sums of gradients: fast, in the order of the communication library. The last bits of the result depend on the number of ranks, "
           "the hosts and the strategy, and nothing promises that two runs agree (parallel.reduction = canonical does)";
  return "Sums of gradients: canonical. This deck gives the same result, bit for bit, on any number of ranks and threads, under any "
         "strategy, "
         "before and after a restart, with this build on processors of this kind";
}

}  // namespace strata
