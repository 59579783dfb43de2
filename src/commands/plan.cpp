// strata plan: what a run on any number of ranks allocates, computes and sends.
#include <algorithm>
#include <cstdio>

#include "commands/alternatives.hpp"
#include "commands/plan_report.hpp"
#include "strata/base/log.hpp"
#include "strata/deck/machine_file.hpp"

namespace strata {
namespace {

std::optional<Machine> named_machine(const Settings& s) {
  if (s.plan.machine.empty()) return std::nullopt;
  return read_machine_file(s.plan.machine);
}

// On a login node `auto` is what the machine file is of.
void take_device_of(const std::optional<Machine>& machine, Session& session) {
  if (!machine || session.settings().device.kind != "auto") return;
  auto settled = session.deck.with("device.kind", machine->gpus > 0 ? "cuda" : "cpu", "plan.machine");
  STRATA_ASSERT(settled.has_value(), "the device of a machine file");
  session.deck = std::move(*settled);
}

// What will start the run: the deck's word, or this process.
std::unique_ptr<Communicator> planned_ranks(const Session& session, const std::optional<Machine>& machine) {
  const PlanConfig& c = session.settings().plan;
  const int ranks = c.ranks > 0 ? static_cast<int>(c.ranks) : session.comm.size();
  const std::int64_t on_host = c.ranks_per_host > 0            ? c.ranks_per_host
                               : machine && machine->ranks > 0 ? machine->ranks
                               : machine && machine->gpus > 0  ? machine->gpus
                               : machine                       ? machine->cores
                                                               : default_threads(1);
  return make_plan_communicator(ranks, static_cast<int>(std::min<std::int64_t>(ranks, on_host)));
}

std::int64_t tokens_of(const Preflight& p, const TrainPlan& plan) {
  return plan.leaves * p.s.batch.micro * p.s.data.sequence;
}

// Whole hosts in powers of two (of four, for many), and the run's own number.
std::vector<ScaleRow> scaling_of(const Preflight& p, const Machine& machine) {
  std::vector<ScaleRow> rows;
  const int per_host = p.launch.local_size(), hosts = (p.launch.size() + per_host - 1) / per_host;
  for (int n = 1; n<hosts; n *= hosts> 64 ? 4 : 2) {
    const auto ranks = make_plan_communicator(n * per_host, per_host);
    const TrainPlan plan = plan_training(*ranks, *p.model, train_shape(p.s, ranks->size()), p.threads);
    const Site site{machine, ranks->size(), per_host, p.threads};
    rows.push_back({n, ranks->size(), plan.bytes, foresee_step(plan, site, tokens_of(p, plan), p.s.precision.compute)});
  }
  return rows;
}

}  // namespace

int run_plan(Session& session) {
  const std::optional<Machine> machine = named_machine(session.settings());
  const auto ranks = planned_ranks(session, machine);
  std::vector<DeckMistake> mistakes = session.mistakes;
  for (DeckMistake& mistake : contradictions(session.deck, "plan", ranks->size())) mistakes.push_back(std::move(mistake));
  throw_mistakes(mistakes);
  for (const std::string& warning : session.deck.warnings()) log_warning(warning);
  take_device_of(machine, session);
  settle_device(session);
  log_device(session);
  require_device_for_type(session);
  require_device_for_graphs(session);
  settle_strategy(session, *ranks);
  Preflight p(session, *ranks, false);
  p.plans = true;
  if (machine) {
    if (const std::string why = machine_refusal(*machine, session.settings().device.kind); !why.empty())
      throw DeckError(text("plan.machine = ", session.settings().plan.machine, ": ", why, "; measure one with that device.kind"));
    p.threads = threads_on(*machine, p);
  }
  check_model(p);
  require_start(session.comm, p.findings);
  const std::int64_t known = machine ? machine->memory_of(ranks->local_size()) : 0, memory = known > 0 ? known : available_memory_bytes();
  if (session.settings().plan.compare) {
    const Machine described = machine ? *machine : assumed_machine(static_cast<std::int64_t>(p.threads) * ranks->local_size());
    const Comparison comparison{p, described, machine.has_value(), memory, compare(p, described, memory)};
    std::printf("%s", session.line.json ? comparison_json(comparison).c_str() : comparison_text(comparison).c_str());
    return static_cast<int>(comparison.runs.empty() ? ExitCode::capacity : ExitCode::done);
  }
  make_plan(p);
  const std::int64_t one = machine && machine->gpus > 0 ? p.gpu_bytes : p.plan->bytes - p.gpu_bytes + p.snapshot_bytes;
  p.memory_needed = one * ranks->local_size();
  p.memory_available = memory;
  PlannedRun run{p, std::nullopt, {}};
  if (machine) {
    const Site site{*machine, ranks->size(), ranks->local_size(), p.threads};
    run.time = foresee_step(*p.plan, site, tokens_of(p, *p.plan), p.s.precision.compute);
    run.scaling = scaling_of(p, *machine);
    const int hosts = (ranks->size() + ranks->local_size() - 1) / ranks->local_size();
    if (hosts > 1) run.scaling.push_back({hosts, ranks->size(), p.plan->bytes, *run.time});
  }
  std::printf("%s", session.line.json ? plan_json(run).c_str() : plan_text(run).c_str());
  return static_cast<int>(p.memory_needed <= p.memory_available ? ExitCode::done : ExitCode::capacity);
}

}  // namespace strata
