// Planning one run after the other, and choosing among them.
#include "commands/alternatives.hpp"

#include <sys/sysinfo.h>

#include <algorithm>

#include "strata/base/clock.hpp"
#include "strata/base/log.hpp"

namespace strata {
namespace {

using Keys = std::vector<std::pair<std::string, std::string>>;
constexpr const char* recomputations[] = {"none", "selective", "full"};

std::vector<std::string> strategies(int ranks, int per_host) {
  std::vector<std::string> all{"ddp", "zero1", "zero2", "fsdp"};
  if (ranks > per_host && ranks % per_host == 0) all.push_back("hybrid");
  return all;
}

// Micro-batches of other powers of two that divide the step alike, largest first; where the step is counted in micro-batches of ranks, the
// deck's alone.
std::vector<std::int64_t> micro_batches(const BatchConfig& batch) {
  if (!batch.accumulation.empty() || batch.global == 0) return {batch.micro};
  std::vector<std::int64_t> all;
  for (std::int64_t factor = 8; factor >= 1; factor /= 2) all.push_back(batch.micro * factor);
  for (std::int64_t divisor = 2; divisor <= 8 && batch.micro % divisor == 0; divisor *= 2) all.push_back(batch.micro / divisor);
  const auto unsuited = [&](std::int64_t micro) { return batch.global % micro != 0 || batch.global / micro % batch.block != 0; };
  all.erase(std::remove_if(all.begin(), all.end(), unsuited), all.end());
  return all;
}

std::string words_of(const Alternative& a) {
  std::string words;
  for (const auto& [key, value] : a.keys) words += text(words.empty() ? "" : ", ", key, " = ", value);
  return text(words, " needs ", bytes_text(static_cast<double>(a.host_bytes)), " on a host");
}

bool faster(const Alternative& a, const Alternative& b) {
  return a.time.seconds() < b.time.seconds();
}

}  // namespace

const std::string& Alternative::value(const std::string& key) const {
  const auto found = std::find_if(keys.begin(), keys.end(), [&](const auto& k) { return k.first == key; });
  STRATA_ASSERT(found != keys.end(), key, " is not compared");
  return found->second;
}

std::string Alternative::options() const {
  std::string all;
  for (const auto& [key, value] : keys) all += text(all.empty() ? "--" : " --", key, "=", value);
  return all;
}

Machine assumed_machine(std::int64_t cores) {
  Machine m;
  m.name = "assumed", m.cores = cores;
  const auto n = static_cast<double>(cores);
  m.fp32_gflops = 100 * n, m.bf16_gflops = 200 * n, m.fp64_gflops = 50 * n;
  m.read_gbs = m.copy_gbs = m.triad_gbs = 10 * n;
  struct sysinfo info {};
  if (sysinfo(&info) == 0) m.memory_bytes = static_cast<std::int64_t>(info.totalram) * static_cast<std::int64_t>(info.mem_unit);
  return m;
}

int threads_on(const Machine& machine, const Preflight& p) {
  if (p.s.device.threads > 0) return p.s.device.threads;
  return static_cast<int>(std::max<std::int64_t>(1, machine.cores / p.launch.local_size()));
}

std::optional<Alternative> foresee(const Preflight& p, const Machine& machine, int ranks, const Keys& keys) {
  Deck deck = p.session.deck;
  for (const auto& [key, value] : keys) {
    auto changed = deck.with(key, value, "alternative");
    if (!changed) return std::nullopt;
    deck = std::move(*changed);
  }
  const Settings& s = deck.settings();
  const int per_host = std::min(ranks, p.launch.local_size());
  try {
    const auto launch = make_plan_communicator(ranks, per_host);
    const RankPlan rank = plan_rank(*p.model, s, *launch, p.threads);
    Alternative a{keys, s.batch.micro == p.s.batch.micro, ranks, rank.bytes_on(machine) * per_host, {}};
    a.time = foresee_step(rank.plan, {machine, ranks, per_host, p.threads}, rank.plan.leaves * s.batch.micro * s.data.sequence,
                          s.precision.compute);
    return a;
  } catch (const DeckError&) {  // ranks that do not divide into groups
    return std::nullopt;
  }
}

std::vector<Alternative> compare(const Preflight& p, const Machine& machine, std::int64_t memory) {
  std::vector<Alternative> fitting;
  for (const std::string& strategy : strategies(p.launch.size(), p.launch.local_size()))
    for (const char* recompute : recomputations)
      for (const std::int64_t micro : micro_batches(p.s.batch)) {
        auto a = foresee(p, machine, p.launch.size(),
                         {{"parallel.strategy", strategy}, {"batch.micro", std::to_string(micro)}, {"parallel.recompute", recompute}});
        if (a && a->host_bytes <= memory) fitting.push_back(std::move(*a));
      }
  std::stable_sort(fitting.begin(), fitting.end(), faster);
  return fitting;
}

std::string best_strategy(const Preflight& p, const Machine& machine, std::int64_t memory) {
  std::optional<Alternative> best;
  for (const std::string& strategy : strategies(p.launch.size(), p.launch.local_size())) {
    auto a = foresee(p, machine, p.launch.size(), {{"parallel.strategy", strategy}});
    if (!a) continue;
    const bool fits = a->host_bytes <= memory;
    const bool better = !best                                  ? true
                        : fits != (best->host_bytes <= memory) ? fits
                        : fits                                 ? faster(*a, *best)
                                                               : a->host_bytes < best->host_bytes;
    if (better) best = std::move(a);
  }
  return best ? best->value("parallel.strategy") : "ddp";
}

std::string smallest_change(const Preflight& p, std::int64_t memory) {
  const Machine machine = assumed_machine(p.threads * p.launch.local_size());
  const auto try_keys = [&](const Keys& keys, int ranks) -> std::string {
    const auto a = foresee(p, machine, ranks, keys);
    if (!a || a->host_bytes > memory) return "";
    const std::string more = ranks != p.launch.size() ? text(ranks, " ranks with ") : "";
    return text(more, words_of(*a), a->same_bits ? ", and changes no result" : "; batch.micro decides the result's last bits");
  };
  const std::string asynchronous = "checkpoint.asynchronous", strategy = "parallel.strategy", recompute = "parallel.recompute";
  std::vector<Keys> changes;
  if (p.s.checkpoint.asynchronous) changes.push_back({{asynchronous, "false"}});
  const auto all = p.launch.size() > 1 ? strategies(p.launch.size(), p.launch.local_size()) : std::vector<std::string>{};
  for (const std::string& s : all) changes.push_back({{strategy, s}});
  for (const char* r : {"selective", "full"}) changes.push_back({{recompute, r}});
  for (const std::string& s : all)
    for (const char* r : {"selective", "full"}) changes.push_back({{strategy, s}, {recompute, r}});
  for (const std::int64_t micro : micro_batches(p.s.batch))
    if (micro < p.s.batch.micro) changes.push_back({{"batch.micro", std::to_string(micro)}});
  for (const std::int64_t micro : micro_batches(p.s.batch))
    if (micro < p.s.batch.micro) changes.push_back({{strategy, "fsdp"}, {recompute, "full"}, {"batch.micro", std::to_string(micro)}});
  for (const Keys& keys : changes)
    if (std::string found = try_keys(keys, p.launch.size()); !found.empty()) return found;
  for (int factor = 2; factor <= 64; factor *= 2)
    for (const Keys& keys : {Keys{{strategy, "fsdp"}}, Keys{{strategy, "fsdp"}, {recompute, "full"}}})
      if (std::string found = try_keys(keys, p.launch.size() * factor); !found.empty()) return found;
  return "";
}

namespace {

// What is wrong with the model or the batch is said by the checks that follow.
std::string chosen_strategy(const Session& session, const Communicator& launch) {
  auto deck = session.deck.with("parallel.strategy", "ddp", "auto");
  Session trial{session.comm, session.line, std::move(*deck), {}};
  Preflight p(trial, launch, false);
  p.plans = true;
  check_model(p);
  const BatchConfig& batch = p.s.batch;
  if (!p.model || !p.device_fits || (batch.global == 0 && batch.accumulation.empty()) || batch.micro < 1) return "ddp";
  if (p.machine) p.threads = threads_on(*p.machine, p);
  const Machine machine = p.machine ? *p.machine : assumed_machine(static_cast<std::int64_t>(p.threads) * launch.local_size());
  const std::int64_t known = machine.memory_of(launch.local_size()), memory = known > 0 ? known : available_memory_bytes();
  const std::string chosen = best_strategy(p, machine, memory);
  log_info(text("parallel.strategy = auto: ", chosen, ", the fastest that fits ", bytes_text(static_cast<double>(memory)),
                " on a host, by ", p.machine ? "the machine file" : "round figures of a machine (plan.machine names none)"));
  return chosen;
}

void set_strategy(Session& session, const std::string& chosen) {
  auto settled = session.deck.with("parallel.strategy", chosen, "parallel.strategy = auto");
  STRATA_ASSERT(settled.has_value(), "strategy ", chosen);
  session.deck = std::move(*settled);
}

}  // namespace

void settle_strategy(Session& session, const Communicator& launch) {
  if (session.settings().parallel.strategy == "auto") set_strategy(session, chosen_strategy(session, launch));
}

void agree_strategy(Session& session) {
  if (session.settings().parallel.strategy != "auto") return;
  std::string chosen;
  guarded(session.comm, [&] {
    if (session.comm.rank() == 0) chosen = chosen_strategy(session, session.comm);
  });
  set_strategy(session, broadcast_text(session.comm, chosen));
}

}  // namespace strata
