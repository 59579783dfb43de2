// The communicator of one rank.
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "strata/base/error.hpp"
#include "strata/comm/communicator.hpp"

namespace strata {
namespace {

class SelfCommunicator final : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int local_size() const override { return 1; }
  int local_rank() const override { return 0; }
  std::string host() const override {
    char name[256] = {};
    gethostname(name, sizeof name - 1);
    return name;
  }
  std::string host_of(int) const override { return host(); }
  bool same_host(int) const override { return true; }
  void barrier() override {}
  void broadcast(void*, std::size_t, int) override {}
  void all_gather(const void* mine, std::size_t bytes, void* all) override { copy(all, mine, bytes); }
  void all_gather_v(const void* mine, std::span<const std::size_t> counts, void* all) override { copy(all, mine, counts[0]); }
  std::int64_t all_sum(std::int64_t value) override { return value; }
  std::int64_t all_max(std::int64_t value) override { return value; }
  std::int64_t all_min(std::int64_t value) override { return value; }
  void exchange(std::span<const Message> sends, std::span<const Message> receives) override {
    STRATA_ASSERT(sends.size() == receives.size(), sends.size(), " sends and ", receives.size(), " receives to oneself");
    for (std::size_t i = 0; i < sends.size(); ++i) {
      STRATA_ASSERT(sends[i].bytes == receives[i].bytes, "a message of ", sends[i].bytes, " bytes meets a receive of ", receives[i].bytes);
      copy(receives[i].data, sends[i].data, sends[i].bytes);
    }
  }
  std::unique_ptr<Transfer> begin_exchange(std::span<const Message> sends, std::span<const Message> receives, Channel) override {
    STRATA_ASSERT(sends.empty() && receives.empty(), "there is no other rank to send to");
    return std::make_unique<Done>();
  }
  std::unique_ptr<Communicator> subgroup(const std::vector<int>& ranks) override {
    STRATA_ASSERT(ranks == std::vector<int>{0}, "a group of ", ranks.size(), " ranks of one");
    return make_self_communicator();
  }
  void all_reduce_sum_fast(float*, std::size_t) override {}
  void all_reduce_sum_fast(double*, std::size_t) override {}
  std::unique_ptr<Transfer> begin_reduce_scatter_fast(float* data, std::span<const std::size_t> counts, float* mine) override {
    copy(mine, data, counts[0] * sizeof(float));
    return std::make_unique<Done>();
  }
  std::unique_ptr<Transfer> begin_reduce_scatter_fast(double* data, std::span<const std::size_t> counts, double* mine) override {
    copy(mine, data, counts[0] * sizeof(double));
    return std::make_unique<Done>();
  }
  void tell(int, int) override { throw InternalError("there is no other rank to tell"); }
  std::optional<int> heard() override { return std::nullopt; }
  std::int64_t all_max_while(std::int64_t value, const std::function<void()>&) override { return value; }
  [[noreturn]] void abort(int exit_code) override { std::_Exit(exit_code); }

 private:
  struct Done final : Transfer {
    bool done() override { return true; }
    void wait() override {}
  };
  static void copy(void* to, const void* from, std::size_t bytes) {
    if (to != from && bytes) std::memmove(to, from, bytes);
  }
};

}  // namespace

std::unique_ptr<Communicator> make_self_communicator() {
  return std::make_unique<SelfCommunicator>();
}

}  // namespace strata
