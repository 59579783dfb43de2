#pragma once
// The communicator of ranks that have a GPU each: data between GPUs goes by NCCL.
#include <array>
#include <deque>
#include <list>
#include <map>
#include <optional>

#include "comm/cuda/table.hpp"
#include "comm/forwarding.hpp"
#include "comm/gpu_ranks.hpp"
#include "strata/base/end_hook.hpp"

namespace strata {

/// Messages and sums are posted at once and given to NCCL later, by agreement: a GPU runs NCCL's groups one after another, and each ends
/// only when the other ranks run theirs, so all ranks have to give the same ones in the same order, whatever order they post in.
///
/// They agree in rounds. In a round every rank tells every other one what it has posted for it, host memory (MPI) carrying the notices; a
/// message of which both ends are posted goes, as does a sum that all have posted. A rank with something new begins the next round and
/// wakes the others. Rounds go on while ranks are in any call of any communicator (WhileWaiting), or ask whether a transfer is done.
/// A message with an end in host memory goes through MPI, when its round has come.
class LinkedCommunicator final : public ForwardingCommunicator {
 public:
  LinkedCommunicator(std::shared_ptr<GpuRanks> shared, std::unique_ptr<Communicator> host, std::unique_ptr<Communicator> notices,
                     std::unique_ptr<Communicator> apart, GpuNames names);
  ~LinkedCommunicator() override;
  /// Rounds and transfers. Local.
  void move_on();

  void broadcast(void* data, std::size_t bytes, int root) override;
  void all_gather(const void* mine, std::size_t bytes, void* all) override;
  void all_gather_v(const void* mine, std::span<const std::size_t> counts, void* all) override;
  void exchange(std::span<const Message> sends, std::span<const Message> receives) override;
  std::unique_ptr<Transfer> begin_exchange(std::span<const Message> sends, std::span<const Message> receives, Channel channel) override;
  std::unique_ptr<Communicator> subgroup(const std::vector<int>& ranks) override;
  void all_reduce_sum_fast(float* data, std::size_t count) override { reduce(data, count, DType::f32); }
  void all_reduce_sum_fast(double* data, std::size_t count) override { reduce(data, count, DType::f64); }
  std::unique_ptr<Transfer> begin_reduce_scatter_fast(float* data, std::span<const std::size_t> counts, float* mine) override {
    return reduce_scatter(data, counts, mine, DType::f32);
  }
  std::unique_ptr<Transfer> begin_reduce_scatter_fast(double* data, std::span<const std::size_t> counts, double* mine) override {
    return reduce_scatter(data, counts, mine, DType::f64);
  }

 private:
  static constexpr std::size_t channels = 6;  // those of Channel, and one for calls that wait
  static constexpr std::size_t most_told = 64;
  using Open = std::shared_ptr<int>;  // parts of a transfer that are not done
  struct Post {
    Message message;
    bool on_gpu;
    void* mark;
    Open open;
  };
  struct Sum {
    std::vector<cuda::LinkOp> ops;
    void* mark;
    Open open;
  };
  /// What one rank tells another: posts without their counterpart, oldest first, and where their memory is.
  struct Notice {
    std::array<std::uint64_t, channels> send_on_gpu{}, receive_on_gpu{};
    std::array<std::uint8_t, channels> sends{}, receives{};
    std::uint32_t sums = 0;
  };
  struct Round {
    std::vector<Notice> mine, theirs;
    std::unique_ptr<Transfer> transfer;
  };
  /// Given to NCCL or to MPI.
  struct UnderWay {
    std::uint64_t group;
    std::unique_ptr<Transfer> by_host;  // null: by NCCL
    std::vector<Open> parts;
  };
  class Posted;

  void hear();
  void begin_round();
  void leave_behind();
  Notice notice_for(int peer);
  void match_messages(const Round& round);
  void match_sums(const Round& round);
  void wait_for(const Open& open);
  Open post(std::span<const Message> sends, std::span<const Message> receives, std::size_t channel);
  Open post_sum(std::vector<cuda::LinkOp> ops);
  std::unique_ptr<Transfer> transfer_of(Open open);
  void gather(const void* mine, std::span<const std::size_t> counts, void* all);
  void reduce(void* data, std::size_t count, DType type);
  template <class T>
  std::unique_ptr<Transfer> reduce_scatter(T* data, std::span<const std::size_t> counts, T* mine, DType type);

  std::shared_ptr<GpuRanks> shared_;
  std::unique_ptr<Communicator> notices_;  // for what ranks tell each other
  std::unique_ptr<Communicator> apart_;    // for messages with an end in host memory
  GpuNames names_;
  std::shared_ptr<cuda::GpuLink> link_;
  std::optional<EndHook> hook_;  // gives the link up where the process ends otherwise
  std::map<int, std::array<std::deque<Post>, channels>> sends_, receives_;
  std::deque<Sum> sums_;
  std::list<UnderWay> under_way_;
  std::vector<void*> spare_marks_;  // of messages that did not go by NCCL
  std::optional<Round> round_;      // of number next_round_
  int next_round_ = 1, heard_ = 0;
  std::int64_t told_ = 0, wakes_ = 0;  // rounds that this rank has told the others of, and others this one
  bool news_ = false;                  // posted since the round was begun
};

}  // namespace strata
