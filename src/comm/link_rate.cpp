// Round trips and large messages between pairs of ranks.
#include "strata/comm/link_rate.hpp"

#include <algorithm>
#include <optional>
#include <set>

#include "strata/base/clock.hpp"
#include "strata/device/arena.hpp"

namespace strata {
namespace {

constexpr int trips = 200, messages = 10;

std::vector<LinkRate> pairs_of(const Communicator& comm, int most) {
  std::vector<LinkRate> pairs;
  std::set<std::string> hosts{comm.host_of(0)};
  const auto add = [&](int from, int to) { pairs.push_back({from, to, comm.host_of(from) == comm.host_of(to), 0, 0}); };
  for (int r = 1; r < comm.size(); ++r)
    if (hosts.insert(comm.host_of(r)).second && r != 1) add(0, r);
  for (int r = 0; r + 1 < comm.size(); ++r) add(r, r + 1);
  if (static_cast<int>(pairs.size()) > most) pairs.resize(static_cast<std::size_t>(most));
  return pairs;
}

/// Memory of the host, or of a GPU.
class Buffer {
 public:
  Buffer(Gpu* gpu, std::size_t bytes) : gpu_(gpu) {
    if (gpu_ && bytes > 0)
      on_gpu_.emplace(*gpu_, static_cast<std::int64_t>(bytes));
    else
      on_host_.resize(bytes, 1);
  }
  void* data() { return on_gpu_ ? on_gpu_->memory() : on_host_.data(); }
  /// Returns when what was received is there.
  void settle() const {
    if (gpu_) gpu_->wait();
  }

 private:
  Gpu* gpu_;
  std::optional<Arena> on_gpu_;
  std::vector<char> on_host_;
};

void send(Communicator& comm, int to, void* data, std::size_t bytes) {
  const Message message{to, data, bytes};
  comm.exchange({&message, 1}, {});
}
void receive(Communicator& comm, int from, Buffer& memory, std::size_t bytes) {
  const Message message{from, memory.data(), bytes};
  comm.exchange({}, {&message, 1});
  memory.settle();
}

/// [s] from `from` to `to` and back, the best of `rounds`; 0 on other ranks.
double round_trip(Communicator& comm, const LinkRate& link, Buffer& memory, std::size_t bytes, std::size_t answer, int rounds) {
  double best = 0;
  for (int i = 0; i < rounds; ++i) {
    const Stopwatch watch;
    if (comm.rank() == link.from) send(comm, link.to, memory.data(), bytes), receive(comm, link.to, memory, answer);
    if (comm.rank() == link.to) receive(comm, link.from, memory, bytes), send(comm, link.from, memory.data(), answer);
    best = i == 0 ? watch.seconds() : std::min(best, watch.seconds());
  }
  return best;
}

}  // namespace

std::vector<LinkRate> link_rates(Communicator& comm, int most, Gpu* gpu) {
  std::vector<LinkRate> links = pairs_of(comm, most);
  Buffer memory(gpu, links.empty() ? 0 : static_cast<std::size_t>(link_bytes));
  for (LinkRate& link : links) {
    comm.barrier();
    const double small = round_trip(comm, link, memory, 8, 8, trips);
    const double large = round_trip(comm, link, memory, static_cast<std::size_t>(link_bytes), 8, messages);
    link.latency = small / 2;
    link.bandwidth = static_cast<double>(link_bytes) / std::max(large - link.latency, 1e-9);
    double both[2] = {link.latency, link.bandwidth};
    comm.broadcast(both, sizeof both, link.from);
    link.latency = both[0], link.bandwidth = both[1];
  }
  return links;
}

double gather_rate(Communicator& comm, std::int64_t bytes, Gpu* gpu) {
  if (comm.size() == 1) return 0;
  const auto mine = static_cast<std::size_t>(bytes);
  Buffer all(gpu, mine * static_cast<std::size_t>(comm.size())), own(gpu, mine);
  double best = 0;
  for (int i = 0; i < 5; ++i) {
    comm.barrier();
    const Stopwatch watch;
    comm.all_gather(own.data(), mine, all.data());
    all.settle();
    best = i == 0 ? watch.seconds() : std::min(best, watch.seconds());
  }
  // The slowest rank's time, in nanoseconds: floating-point numbers are not reduced.
  const double slowest = static_cast<double>(comm.all_max(static_cast<std::int64_t>(best * 1e9) + 1)) * 1e-9;
  return static_cast<double>(mine) * (comm.size() - 1) / slowest;
}

}  // namespace strata
