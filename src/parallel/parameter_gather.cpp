#include "strata/parallel/parameter_gather.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "strata/base/error.hpp"
#include "strata/ops/transfer.hpp"

namespace strata {
namespace {

// A unit's shard, from its owner to all others and from the others to their places in `whole`.
std::unique_ptr<Transfer> begin_all_gather(Communicator& group, const Partition& partition, int unit, View shard, View whole) {
  std::vector<Message> sends, receives;
  for (int other = 0; other < group.size(); ++other) {
    if (other == group.rank()) continue;
    const Range theirs = partition.elements(unit, other);
    const View to = whole.rows(theirs.first, theirs.count());
    if (shard.elements()) sends.push_back({other, shard.data(), static_cast<std::size_t>(shard.bytes())});
    if (to.elements()) receives.push_back({other, to.data(), static_cast<std::size_t>(to.bytes())});
  }
  return group.begin_exchange(sends, receives, Channel::parameters);
}

}  // namespace

ParameterGather::ParameterGather(Arena& arena, const Partition& partition, const FlatBuffer& shards, DType type, Communicator& group,
                                 int depth)
    : partition_(partition),
      shards_(shards),
      group_(group),
      depth_(depth),
      slots_(arena, "gathered", type, Partition(partition.set()), depth),
      weights_(partition.set()),
      placed_(partition.set().units().size()),
      written_(placed_.size()) {}

void ParameterGather::start(int unit) {
  // Whoever gives way has been used, so its own has come; that its shards have left is not needed for that, but keeps ranks together.
  if (const int before = slots_.leaves_for(unit); before >= 0) wait_for(before);
  const View slot = slots_.assign(unit), shard = shards_.unit(unit);
  weights_.place(unit, slot);
  const Range own = partition_.elements(unit);
  const std::array place{HostCopy{slot.rows(own.first, own.count()), shard}};
  const GpuMark written = std::exchange(written_[static_cast<std::size_t>(unit)], {});
  // The slot is free when the stream has come so far.
  if (own.count()) placed_[static_cast<std::size_t>(unit)] = begin_copy_to_device(*stream_, place, {mark_of(*stream_), written});
  // What is sent from host memory is read by the host.
  if (group_.size() > 1) strata::wait_for(*stream_, written);
  coming_.push_back({unit, begin_all_gather(group_, partition_, unit, shard, slot)});
}

void ParameterGather::wait_for(int unit) {
  for (auto it = coming_.begin(); it != coming_.end(); ++it) {
    if (it->unit != unit) continue;
    it->transfer->wait();
    coming_.erase(it);
    return;
  }
}

void ParameterGather::join(int unit) {
  follow(*stream_, std::exchange(placed_[static_cast<std::size_t>(unit)], {}));
}

void ParameterGather::use(int unit) {
  STRATA_ASSERT(uses_ && at_ < uses_->size() && (*uses_)[at_] == unit, "unit ", unit, " is used out of the order that was announced");
  if (!slots_.holds(unit)) start(unit);
  wait_for(unit);
  join(unit);
  ++at_;
  fetch_ahead();
}

void ParameterGather::fetch_ahead() {
  const auto now = (*uses_)[at_ - 1];
  for (std::size_t ahead = at_; ahead < std::min(uses_->size(), at_ + static_cast<std::size_t>(depth_ - 1)); ++ahead) {
    const int next = (*uses_)[ahead];
    if (slots_.holds(next)) continue;
    const int victim = slots_.leaves_for(next);
    const auto begin = uses_->begin() + static_cast<std::ptrdiff_t>(at_), end = uses_->begin() + static_cast<std::ptrdiff_t>(ahead);
    if (victim == now || std::find(begin, end, victim) != end) return;
    start(next);
  }
}

void ParameterGather::poll() {
  coming_.erase(std::remove_if(coming_.begin(), coming_.end(), [](Coming& c) { return c.transfer->done(); }), coming_.end());
}

void ParameterGather::forget() {
  for (Coming& coming : coming_) coming.transfer->wait();
  coming_.clear();
  // Of a pass that was left, units that nobody has used: their shards are read before they change.
  for (std::size_t u = 0; stream_ && u < placed_.size(); ++u) join(static_cast<int>(u));
  slots_.clear();
}

std::unique_ptr<Transfer> begin_spread(Communicator& group, const Partition& partition, const FlatBuffer& whole, int unit) {
  const Range own = partition.elements(unit);
  return begin_all_gather(group, partition, unit, whole.unit(unit).rows(own.first, own.count()), whole.unit(unit));
}

}  // namespace strata
