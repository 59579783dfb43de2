// The model of a step's time: ops one after the other at measured rates, then what of the communication cannot hide behind them.
#include "strata/train/step_time.hpp"

#include <algorithm>
#include <cmath>

#include "strata/device/op_times.hpp"

namespace strata {
namespace {

// What stands in for links that were not measured: shared memory, and a network of 10 Gbit/s.
constexpr double default_host_gbs = 5, default_host_us = 1, default_network_gbs = 1.25, default_network_us = 30;

/// Seconds per byte and message of one kind of link, for one rank.
struct Link {
  double bytes_per_s, latency;
  double seconds(double bytes, double waits) const { return bytes / bytes_per_s + waits * latency; }
};

struct Links {
  Link host, network;
};

Links links_of(const Site& site, StepTime& time) {
  const Machine& m = site.machine;
  const auto known = [&](double value, double otherwise, const char* what) {
    if (value > 0) return value;
    time.guessed.push_back(text(what, " ", otherwise));
    return otherwise;
  };
  Links links{{0, 0}, {0, 0}};
  const bool inside = site.ranks_per_host > 1, between = site.ranks > site.ranks_per_host;
  // Ranks of a host that all send and receive at once get what the all-gather found; without it, half of one message alone.
  if (inside) {
    const double both = m.gather_gbs > 0 && m.gather_ranks > 1 && m.network_gbs == 0 ? m.gather_gbs : m.host_gbs / 2;
    links.host = {known(both, default_host_gbs, "host link [GB/s]") * 1e9,
                  known(m.host_latency_us, default_host_us, "host link [us]") * 1e-6};
  }
  // A host's ranks share its card.
  if (between)
    links.network = {known(m.network_gbs, default_network_gbs, "network [GB/s]") * 1e9 / site.ranks_per_host,
                     known(m.network_latency_us, default_network_us, "network [us]") * 1e-6};
  return links;
}

/// Time of ops, with the share of the node's cores, or of a GPU, that a rank has.
class OpClock {
 public:
  explicit OpClock(const Site& site)
      : times_(site.machine), share_(site.machine.share(site.threads, std::min(site.ranks, site.ranks_per_host))) {}
  void add(const PlannedOps& ops, double times, std::map<std::string, double>& seconds) const {
    for (const auto& [op, cost] : ops) {
      const auto calls = static_cast<double>(cost.calls);
      if (cost.calls != 0)
        seconds[op.first] += times * calls * times_.seconds(op.first, op.second, cost.flops / calls, cost.bytes / calls) / share_;
    }
  }

 private:
  OpTimes times_;
  double share_;
};

// What rank 0 does besides its leaves.
PlannedOps beside_leaves(const TrainPlan& plan) {
  PlannedOps rest = plan.ops;
  for (const auto& [op, cost] : plan.leaf_ops) {
    const auto found = rest.find(op);
    if (found == rest.end()) continue;
    const auto rounds = static_cast<double>(plan.rounds);
    found->second.calls -= cost.calls * plan.rounds;
    found->second.flops -= cost.flops * rounds, found->second.bytes -= cost.bytes * rounds;
    if (found->second.calls <= 0) rest.erase(found);
  }
  return rest;
}

// Both directions at once: the one that has more counts.
double bytes_of(std::int64_t sent, std::int64_t received) {
  return static_cast<double>(std::max(sent, received));
}

// Ranks of a host copy with the cores that compute, so nothing hides. Between hosts cards do it, and what belongs to a micro-batch (weights
// that come, gradients that go) passes behind its computation, but for the first unit's weights and the last one's gradients. Sums between
// groups pass behind the backward pass of the last micro-batch alone, two thirds of its computation.
TimeTerm communication_term(Call call, const TrafficRow& row, const Links& links, double compute, double rounds, double units) {
  const double waits = call == Call::gather || call == Call::reduce || call == Call::fast_reduce || call == Call::broadcast
                           ? static_cast<double>(row.calls) * 2
                           : static_cast<double>(row.calls);
  const double host = bytes_of(row.sent.host, row.received.host), network = bytes_of(row.sent.network, row.received.network);
  double seconds = 0, hidden = 0;
  if (host > 0) seconds += links.host.seconds(host, waits);
  if (network > 0) {
    const double all = links.network.seconds(network, waits);
    const bool every_round = call == Call::parameters || call == Call::gradients, last_round = call == Call::sums;
    const double behind = every_round ? compute : last_round ? compute / std::max(1.0, rounds) * 2 / 3 : 0;
    const double ends = !every_round && !last_round ? all : all / std::max(1.0, units) / (every_round ? std::max(1.0, rounds) : 1);
    const double exposed = std::max(ends, all - behind);
    seconds += exposed, hidden = all - exposed;
  }
  return {name_of(call), seconds, hidden};
}

void longest_first(std::vector<TimeTerm>& terms) {
  std::stable_sort(terms.begin(), terms.end(), [](const TimeTerm& a, const TimeTerm& b) { return a.seconds > b.seconds; });
}

}  // namespace

StepTime foresee_step(const TrainPlan& plan, const Site& site, std::int64_t tokens, const std::string& precision) {
  StepTime time;
  std::map<std::string, double> by_op;
  const OpClock clock(site);
  clock.add(plan.leaf_ops, static_cast<double>(plan.most_rounds), by_op);
  double leaves = 0;
  for (const auto& op : by_op) leaves += op.second;
  clock.add(beside_leaves(plan), 1, by_op);
  for (const auto& [op, seconds] : by_op) time.terms.push_back({op, seconds, 0}), time.compute += seconds;
  longest_first(time.terms);

  const Links links = links_of(site, time);
  std::vector<TimeTerm> communication;
  // What the busiest rank exchanges more than rank 0 follows the micro-batches.
  const double more = plan.rounds > 0 ? static_cast<double>(plan.most_rounds) / static_cast<double>(plan.rounds) : 1;
  for (std::size_t k = 0; k < call_kinds; ++k) {
    const Call call = static_cast<Call>(k);
    const TrafficRow& row = plan.traffic[call];
    if (row.sent.all() + row.received.all() == 0) continue;
    TimeTerm term = communication_term(call, row, links, leaves, static_cast<double>(plan.rounds), static_cast<double>(plan.units));
    if (call == Call::parameters || call == Call::gradients) term.seconds *= more, term.hidden *= more;
    communication.push_back(term), time.communication += term.seconds;
  }
  longest_first(communication);
  time.terms.insert(time.terms.end(), communication.begin(), communication.end());

  // All cores of the nodes; GPUs that a rank has.
  const Machine& m = site.machine;
  const double nodes = m.gpus > 0 ? site.ranks * m.share(site.threads, std::min(site.ranks, site.ranks_per_host))
                                  : std::ceil(static_cast<double>(site.ranks) / static_cast<double>(site.ranks_per_host));
  time.tokens_per_s = static_cast<double>(tokens) / time.seconds();
  time.mfu = plan.leaf_flops() * static_cast<double>(plan.leaves) / (time.seconds() * nodes * site.machine.gflops(precision) * 1e9);
  return time;
}

}  // namespace strata
