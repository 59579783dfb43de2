// The communicator of ranks that are only planned.
#include <unistd.h>

#include <cstdlib>

#include "strata/base/error.hpp"
#include "strata/comm/communicator.hpp"

namespace strata {
namespace {

class PlanCommunicator final : public Communicator {
 public:
  PlanCommunicator(int ranks, int per_host) : ranks_(ranks), per_host_(per_host) {
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
  void barrier() override { refuse(); }
  void broadcast(void*, std::size_t, int) override { refuse(); }
  void all_gather(const void*, std::size_t, void*) override { refuse(); }
  void all_gather_v(const void*, std::span<const std::size_t>, void*) override { refuse(); }
  std::int64_t all_sum(std::int64_t) override { refuse(); }
  std::int64_t all_max(std::int64_t) override { refuse(); }
  std::int64_t all_min(std::int64_t) override { refuse(); }
  std::int64_t all_max_while(std::int64_t, const std::function<void()>&) override { refuse(); }
  void tell(int, int) override { refuse(); }
  std::optional<int> heard() override { refuse(); }
  void exchange(std::span<const Message>, std::span<const Message>) override { refuse(); }
  void all_reduce_sum_fast(float*, std::size_t) override { refuse(); }
  void all_reduce_sum_fast(double*, std::size_t) override { refuse(); }
  [[noreturn]] void abort(int exit_code) override { std::_Exit(exit_code); }

 private:
  [[noreturn]] static void refuse() { throw InternalError("ranks that are only planned cannot communicate"); }
  int ranks_, per_host_;
};

}  // namespace

std::unique_ptr<Communicator> make_plan_communicator(int ranks, int per_host) {
  return std::make_unique<PlanCommunicator>(ranks, per_host);
}

}  // namespace strata
