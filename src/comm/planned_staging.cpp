// Planned ranks that count the page-locked memory of staged transfers.
#include <algorithm>
#include <numeric>

#include "comm/forwarding.hpp"
#include "comm/staging.hpp"
#include "strata/comm/gpu_communicator.hpp"

namespace strata {

// As StagingPool::take(): the smallest that is free and large enough.
std::size_t PlannedStaging::take(std::size_t bytes) {
  std::size_t best = blocks_.size();
  for (std::size_t b = 0; b < blocks_.size(); ++b)
    if (blocks_[b].free && blocks_[b].bytes >= bytes && (best == blocks_.size() || blocks_[b].bytes < blocks_[best].bytes)) best = b;
  if (best == blocks_.size()) blocks_.push_back({staging_block(bytes), true});
  blocks_[best].free = false;
  return best;
}

std::int64_t PlannedStaging::bytes() const {
  return std::accumulate(blocks_.begin(), blocks_.end(), std::int64_t{0},
                         [](std::int64_t sum, const Block& b) { return sum + static_cast<std::int64_t>(b.bytes); });
}

namespace {

/// The blocks of one call.
class Held {
 public:
  explicit Held(std::shared_ptr<PlannedStaging> staging) : staging_(std::move(staging)) {}
  Held(Held&&) = default;
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  ~Held() { give_back(); }
  void take(std::size_t bytes) {
    if (bytes > 0) blocks_.push_back(staging_->take(bytes));
  }
  void give_back() {
    for (const std::size_t block : blocks_) staging_->give_back(block);
    blocks_.clear();
  }

 private:
  std::shared_ptr<PlannedStaging> staging_;
  std::vector<std::size_t> blocks_;
};

class HeldTransfer final : public Transfer {
 public:
  HeldTransfer(Held held, std::unique_ptr<Transfer> inner) : held_(std::move(held)), inner_(std::move(inner)) {}
  bool done() override {
    const bool over = inner_->done();
    if (over) held_.give_back();
    return over;
  }
  void wait() override {
    inner_->wait();
    held_.give_back();
  }

 private:
  Held held_;
  std::unique_ptr<Transfer> inner_;
};

class PlannedGpuCommunicator final : public ForwardingCommunicator {
 public:
  PlannedGpuCommunicator(std::unique_ptr<Communicator> planned, std::shared_ptr<PlannedStaging> staging)
      : ForwardingCommunicator(std::move(planned)), staging_(std::move(staging)) {}

  // What is told of before a step or after it lies in the host's memory.
  void broadcast(void* data, std::size_t bytes, int root) override { inner_->broadcast(data, bytes, root); }
  void all_gather(const void* mine, std::size_t bytes, void* all) override { inner_->all_gather(mine, bytes, all); }
  void all_gather_v(const void* mine, std::span<const std::size_t> counts, void* all) override { inner_->all_gather_v(mine, counts, all); }
  void exchange(std::span<const Message> sends, std::span<const Message> receives) override { inner_->exchange(sends, receives); }

  std::unique_ptr<Transfer> begin_exchange(std::span<const Message> sends, std::span<const Message> receives, Channel channel) override {
    Held held(staging_);
    // Weights, and sums on their way back, are the same for every peer: one block serves all.
    const bool same = channel == Channel::parameters || channel == Channel::returns;
    for (const Message& m : sends)
      if (!same || m.peer == sends.front().peer) held.take(m.bytes);
    for (const Message& m : receives) held.take(m.bytes);
    return std::make_unique<HeldTransfer>(std::move(held), inner_->begin_exchange(sends, receives, channel));
  }
  std::unique_ptr<Communicator> subgroup(const std::vector<int>& ranks) override {
    return std::make_unique<PlannedGpuCommunicator>(inner_->subgroup(ranks), staging_);
  }
  void all_reduce_sum_fast(float* data, std::size_t count) override { reduce(data, count); }
  void all_reduce_sum_fast(double* data, std::size_t count) override { reduce(data, count); }
  std::unique_ptr<Transfer> begin_reduce_scatter_fast(float* data, std::span<const std::size_t> counts, float* mine) override {
    return reduce_scatter(data, counts, mine);
  }
  std::unique_ptr<Transfer> begin_reduce_scatter_fast(double* data, std::span<const std::size_t> counts, double* mine) override {
    return reduce_scatter(data, counts, mine);
  }

 private:
  template <class T>
  void reduce(T* data, std::size_t count) {
    Held held(staging_);
    held.take(std::min(count * sizeof(T), staged_sum_bytes));
    inner_->all_reduce_sum_fast(data, count);
  }
  template <class T>
  std::unique_ptr<Transfer> reduce_scatter(T* data, std::span<const std::size_t> counts, T* mine) {
    Held held(staging_);
    held.take(std::accumulate(counts.begin(), counts.end(), std::size_t{0}) * sizeof(T));
    held.take(counts[static_cast<std::size_t>(rank())] * sizeof(T));
    return std::make_unique<HeldTransfer>(std::move(held), inner_->begin_reduce_scatter_fast(data, counts, mine));
  }

  std::shared_ptr<PlannedStaging> staging_;
};

}  // namespace

std::unique_ptr<Communicator> make_plan_gpu_communicator(int ranks, int per_host, std::shared_ptr<PlannedStaging> staging) {
  return std::make_unique<PlannedGpuCommunicator>(make_plan_communicator(ranks, per_host), std::move(staging));
}

}  // namespace strata
