// The communicator of ranks that are only planned.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "strata/base/error.hpp"
#include "strata/comm/communicator.hpp"

namespace strata {
namespace {

class PlanCommunicator final : public Communicator {
 public:
  PlanCommunicator(int ranks, int per_host, const PlanCommunicator* parent = nullptr)
      : Communicator(parent), ranks_(ranks), per_host_(per_host) {
    STRATA_ASSERT(per_host >= 1 && per_host <= ranks, per_host, " ranks per host of ", ranks);
  }
  int rank() const override { return 0; }
  int size() const override { return ranks_; }
  int local_size() const override { return per_host_; }
  int local_rank() const override { return 0; }
  std::string host() const override {
    char name[256] = {};
    gethostname(name, sizeof name - 1);
    return name;
  }
  std::string host_of(int rank) const override { return rank < per_host_ ? host() : text("host ", rank / per_host_); }
  bool same_host(int rank) const override { return rank < per_host_; }
  // Nothing arrives, and nobody waits: what would be received stays as it is, and sums are those of this rank. All of it is counted.
  void barrier() override { count_barrier(); }
  void broadcast(void*, std::size_t bytes, int root) override { count_broadcast(bytes, root); }
  void all_gather(const void*, std::size_t bytes, void*) override {
    count_gather(std::vector<std::size_t>(static_cast<std::size_t>(ranks_), bytes));
  }
  void all_gather_v(const void*, std::span<const std::size_t> counts, void*) override { count_gather(counts); }
  std::int64_t all_sum(std::int64_t value) override { return reduced(value); }
  std::int64_t all_max(std::int64_t value) override { return reduced(value); }
  std::int64_t all_min(std::int64_t value) override { return reduced(value); }
  std::int64_t all_max_while(std::int64_t value, const std::function<void()>&) override { return reduced(value); }
  void tell(int, int) override {}
  std::optional<int> heard() override { return std::nullopt; }
  void exchange(std::span<const Message> sends, std::span<const Message> receives) override {
    count_messages(Call::exchange, sends, receives);
  }
  std::unique_ptr<Transfer> begin_exchange(std::span<const Message> sends, std::span<const Message> receives, Channel channel) override {
    count_messages(call_of(channel), sends, receives);
    return std::make_unique<Done>();
  }
  std::unique_ptr<Communicator> subgroup(const std::vector<int>& ranks) override {
    STRATA_ASSERT(!ranks.empty() && ranks[0] == 0, "only rank 0 plans");
    const auto here = std::count_if(ranks.begin(), ranks.end(), [&](int r) { return r < per_host_; });
    return std::make_unique<PlanCommunicator>(static_cast<int>(ranks.size()), static_cast<int>(here), this);
  }
  void all_reduce_sum_fast(float*, std::size_t count) override { count_reduce(Call::fast_reduce, count * sizeof(float)); }
  void all_reduce_sum_fast(double*, std::size_t count) override { count_reduce(Call::fast_reduce, count * sizeof(double)); }
  std::unique_ptr<Transfer> begin_reduce_scatter_fast(float*, std::span<const std::size_t> counts, float*) override {
    count_reduce_scatter(std::accumulate(counts.begin(), counts.end(), std::size_t{0}) * sizeof(float));
    return std::make_unique<Done>();
  }
  std::unique_ptr<Transfer> begin_reduce_scatter_fast(double*, std::span<const std::size_t> counts, double*) override {
    count_reduce_scatter(std::accumulate(counts.begin(), counts.end(), std::size_t{0}) * sizeof(double));
    return std::make_unique<Done>();
  }
  [[noreturn]] void abort(int exit_code) override { std::_Exit(exit_code); }

 private:
  struct Done final : Transfer {
    bool done() override { return true; }
    void wait() override {}
  };
  std::int64_t reduced(std::int64_t value) {
    count_reduce(Call::reduce, sizeof value);
    return value;
  }
  int ranks_, per_host_;
};

}  // namespace

std::unique_ptr<Communicator> make_plan_communicator(int ranks, int per_host) {
  return std::make_unique<PlanCommunicator>(ranks, per_host);
}

}  // namespace strata
