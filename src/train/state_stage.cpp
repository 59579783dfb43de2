#include "strata/train/state_stage.hpp"

namespace strata {

StateStage::StateStage(Arena& arena, const TrainState& state)
    : tensors_{state.weights().weight, state.weights().rest(), state.exp_avg(), state.exp_avg_sq()},
      part_(state.layout().optimizer.part),
      units_(static_cast<int>(part_.set().units().size())),
      come_(part_.set().units().size()),
      sent_(come_.size()) {
  const StateLayout& layout = state.layout();
  const auto guest = [&](const char* name, const FlatBuffer& host, FlatBuffer& here) {
    if (!host.given()) return;
    here = FlatBuffer(part_.set());
    guests_.push_back({&host, &here, UnitSlots(arena, std::string("offload.") + name, host.flat().type(), part_, 2)});
  };
  if (layout.weights_on_host) guest("weight", state.weights().weight, tensors_.weight);
  if (!layout.optimizer_on_host) return;
  guest(state.weights().master.given() ? "master" : "remainder", state.weights().rest(), tensors_.rest);
  guest("exp_avg", state.exp_avg(), tensors_.exp_avg);
  guest("exp_avg_sq", state.exp_avg_sq(), tensors_.exp_avg_sq);
}

View StateStage::on_host(const Guest& guest, int unit) const {
  const Range own = part_.elements(unit);
  return guest.host->unit(unit).rows(own.first - guest.host->range(unit).first, own.count());
}

std::vector<HostCopy> StateStage::copies(int unit) const {
  std::vector<HostCopy> all;
  for (const Guest& guest : guests_)
    if (const View slot = guest.slots.of(unit); slot.elements()) all.push_back({slot, on_host(guest, unit)});
  return all;
}

void StateStage::begin(Stream& stream) {
  // Of a step that was dropped.
  for (int unit = updated_; unit < next_; ++unit)
    for (Guest& guest : guests_) guest.slots.release(unit);
  next_ = updated_ = 0;
  bring_what_has_room(stream);
}

// All guests take turns alike.
void StateStage::bring_what_has_room(Stream& stream) {
  for (; next_ < units_ && !guests_.empty(); ++next_) {
    const int leaving = guests_.front().slots.leaves_for(next_);
    // It is in this step's line, and not through.
    if (leaving >= updated_ && leaving < next_) return;
    for (Guest& guest : guests_) guest.here->place(next_, guest.slots.assign(next_), part_.elements(next_).first);
    const auto at = static_cast<std::size_t>(next_);
    come_[at] =
        begin_copy_to_device(stream, copies(next_), {sent_[at], leaving < 0 ? GpuMark{} : sent_[static_cast<std::size_t>(leaving)]});
  }
}

void StateStage::use(Stream& stream, int unit) {
  if (guests_.empty()) return;
  STRATA_ASSERT(unit == updated_ && unit < next_, "unit ", unit, " is to be updated, ", updated_, " have been, ", next_, " are here");
  follow(stream, come_[static_cast<std::size_t>(unit)]);
}

GpuMark StateStage::send_back(Stream& stream, int unit) {
  if (guests_.empty()) return {};
  last_sent_ = sent_[static_cast<std::size_t>(unit)] = begin_copy_to_host(stream, copies(unit));
  ++updated_;
  bring_what_has_room(stream);
  return last_sent_;
}

}  // namespace strata
