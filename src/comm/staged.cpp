// The communicator of GPU memory that goes through the host's.
#include <algorithm>
#include <numeric>

#include "comm/forwarding.hpp"
#include "comm/gpu_ranks.hpp"
#include "strata/comm/gpu_communicator.hpp"

namespace strata {
namespace {

class StagedTransfer final : public Transfer {
 public:
  StagedTransfer(Staging staging, std::unique_ptr<Transfer> inner) : staging_(std::move(staging)), inner_(std::move(inner)) {}
  bool done() override {
    if (inner_ && inner_->done()) end();
    return !inner_;
  }
  void wait() override {
    if (!inner_) return;
    inner_->wait();
    end();
  }

 private:
  void end() {
    staging_.end();
    inner_.reset();
  }
  Staging staging_;
  std::unique_ptr<Transfer> inner_;  // null: over
};

class StagedCommunicator final : public ForwardingCommunicator {
 public:
  StagedCommunicator(std::shared_ptr<GpuRanks> shared, std::unique_ptr<Communicator> host, GpuNames names)
      : ForwardingCommunicator(std::move(host)), shared_(std::move(shared)), names_(std::move(names)) {}
  const StagingPool& pool() const { return *shared_->pool; }

  void broadcast(void* data, std::size_t bytes, int root) override {
    Staging staging(shared_->pool);
    void* const there = rank() == root ? staging.in(data, bytes) : staging.out(data, bytes);
    staging.begin();
    inner_->broadcast(there, bytes, root);
    staging.end();
  }
  void all_gather(const void* mine, std::size_t bytes, void* all) override {
    Staging staging(shared_->pool);
    const void* const own = staging.in(mine, bytes);
    void* const there = staging.out(all, bytes * static_cast<std::size_t>(size()));
    staging.begin();
    inner_->all_gather(own, bytes, there);
    staging.end();
  }
  void all_gather_v(const void* mine, std::span<const std::size_t> counts, void* all) override {
    Staging staging(shared_->pool);
    const void* const own = staging.in(mine, counts[static_cast<std::size_t>(rank())]);
    void* const there = staging.out(all, std::accumulate(counts.begin(), counts.end(), std::size_t{0}));
    staging.begin();
    inner_->all_gather_v(own, counts, there);
    staging.end();
  }
  void exchange(std::span<const Message> sends, std::span<const Message> receives) override {
    Staging staging(shared_->pool);
    const Messages staged(staging, sends, receives);
    inner_->exchange(staged.sends, staged.receives);
    staging.end();
  }
  std::unique_ptr<Transfer> begin_exchange(std::span<const Message> sends, std::span<const Message> receives, Channel channel) override {
    Staging staging(shared_->pool);
    const Messages staged(staging, sends, receives);
    return transfer(std::move(staging), inner_->begin_exchange(staged.sends, staged.receives, channel));
  }
  std::unique_ptr<Communicator> subgroup(const std::vector<int>& ranks) override {
    return make_gpu_ranks(shared_, inner_->subgroup(ranks), names_of(names_, ranks));
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
  struct Messages {
    Messages(Staging& staging, std::span<const Message> from, std::span<const Message> to) {
      for (const Message& m : from) sends.push_back({m.peer, staging.in(m.data, m.bytes), m.bytes});
      for (const Message& m : to) receives.push_back({m.peer, staging.out(m.data, m.bytes), m.bytes});
      staging.begin();
    }
    std::vector<Message> sends, receives;
  };

  static std::unique_ptr<Transfer> transfer(Staging staging, std::unique_ptr<Transfer> inner) {
    if (!staging.used()) return inner;
    return std::make_unique<StagedTransfer>(std::move(staging), std::move(inner));
  }

  template <class T>
  void reduce(T* data, std::size_t count) {
    const std::size_t piece = staged_sum_bytes / sizeof(T);
    if (count <= piece || !gpu_of(data)) return reduce_piece(data, count);
    {
      const Uncounted quiet(*this);
      for (std::size_t at = 0; at < count; at += piece) reduce_piece(data + at, std::min(piece, count - at));
    }
    count_reduce(Call::fast_reduce, count * sizeof(T));
  }
  template <class T>
  void reduce_piece(T* data, std::size_t count) {
    Staging staging(shared_->pool);
    T* const there = static_cast<T*>(staging.in_out(data, count * sizeof(T)));
    staging.begin();
    inner_->all_reduce_sum_fast(there, count);
    staging.end();
  }
  template <class T>
  std::unique_ptr<Transfer> reduce_scatter(T* data, std::span<const std::size_t> counts, T* mine) {
    Staging staging(shared_->pool);
    T* const all = static_cast<T*>(staging.in(data, std::accumulate(counts.begin(), counts.end(), std::size_t{0}) * sizeof(T)));
    T* const own = static_cast<T*>(staging.out(mine, counts[static_cast<std::size_t>(rank())] * sizeof(T)));
    staging.begin();
    return transfer(std::move(staging), inner_->begin_reduce_scatter_fast(all, counts, own));
  }

  std::shared_ptr<GpuRanks> shared_;
  GpuNames names_;
};

}  // namespace

std::int64_t staging_bytes(const Communicator& comm) {
  const auto* const staged = dynamic_cast<const StagedCommunicator*>(&comm);
  return staged ? static_cast<std::int64_t>(staged->pool().bytes()) : 0;
}

std::unique_ptr<Communicator> make_staged_ranks(std::shared_ptr<GpuRanks> shared, std::unique_ptr<Communicator> host, GpuNames names) {
  return std::make_unique<StagedCommunicator>(std::move(shared), std::move(host), std::move(names));
}

}  // namespace strata
