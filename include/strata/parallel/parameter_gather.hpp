#pragma once
// Parameter gather: weights that live as shards or in host memory, brought together on the device unit by unit ahead of their use
// (strategies fsdp, hybrid; offload of parameters).
#include <deque>
#include <memory>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/device/gpu.hpp"
#include "strata/device/stream.hpp"
#include "strata/parallel/flat_buffer.hpp"
#include "strata/parallel/unit_slots.hpp"

namespace strata {

class ParameterGather {
 public:
  /// Takes slots "gathered.<unit>" for `depth` units of each size at most: one in use, the others on their way. `shards` holds this rank's
  /// shard of every unit (of a partition of one: all of it); `group` are the ranks that have the others, in the order of its parts.
  ParameterGather(Arena& arena, const Partition& partition, const FlatBuffer& shards, DType type, Communicator& group, int depth);

  /// Where gathered units are. Valid for units that use() has named since.
  const FlatBuffer& weights() const { return weights_; }
  /// A pass begins that uses these units in this order, the same on every rank of the group. `uses` must live as long as the pass.
  void begin_pass(Stream& stream, const std::vector<int>& uses) { stream_ = &stream, uses_ = &uses, at_ = 0; }
  /// Returns when the next unit of the pass is there, and begins to bring those after it. Collective over the group, without meeting.
  void use(int unit);
  /// Appends what decides where the units of the pass that has begun will lie.
  void describe(std::vector<std::int64_t>& text) const { slots_.describe(text); }
  /// Moves what is under way on. Local.
  void poll();
  /// The shards are about to change: forgets what is gathered, after all that is under way has come. Collective over the group.
  void forget();
  /// The own shard of a unit, which lies in host memory, is written behind the mark. Local.
  void written(int unit, const GpuMark& mark) { written_[static_cast<std::size_t>(unit)] = mark; }

 private:
  void start(int unit);
  void fetch_ahead();
  void wait_for(int unit);
  void join(int unit);

  Partition partition_;
  FlatBuffer shards_;
  Communicator& group_;
  int depth_;
  UnitSlots slots_;
  FlatBuffer weights_;
  struct Coming {
    int unit;
    std::unique_ptr<Transfer> transfer;
  };
  std::deque<Coming> coming_;
  std::vector<GpuMark> placed_, written_;  // by unit: the own shard in its place; in host memory
  Stream* stream_ = nullptr;
  const std::vector<int>* uses_ = nullptr;
  std::size_t at_ = 0;
};

/// Begins to bring a unit's shards, each in its place in `whole` on its owner, to all of the group: after an update that shared out the
/// parameters (zero1, zero2). The ranks of `group` own the partition's parts in order. Local; ends when the others have begun theirs.
std::unique_ptr<Transfer> begin_spread(Communicator& group, const Partition& partition, const FlatBuffer& whole, int unit);

}  // namespace strata
