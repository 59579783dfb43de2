#include "strata/train/state_stage.hpp"

#include "strata/ops/transfer.hpp"

namespace strata {

StateStage::StateStage(Arena& arena, const TrainState& state)
    : tensors_{state.weights().weight, state.weights().rest(), state.exp_avg(), state.exp_avg_sq()} {
  const StateLayout& layout = state.layout();
  const Partition& part = layout.optimizer.part;
  const auto guest = [&](const char* name, const FlatBuffer& host, FlatBuffer& here) {
    if (!host.given()) return;
    here = FlatBuffer(part.set());
    guests_.push_back({&host, &here, UnitSlots(arena, std::string("offload.") + name, host.flat().type(), part, 2), part});
  };
  if (layout.weights_on_host) guest("weight", state.weights().weight, tensors_.weight);
  if (!layout.optimizer_on_host) return;
  guest(state.weights().master.given() ? "master" : "remainder", state.weights().rest(), tensors_.rest);
  guest("exp_avg", state.exp_avg(), tensors_.exp_avg);
  guest("exp_avg_sq", state.exp_avg_sq(), tensors_.exp_avg_sq);
}

View StateStage::on_host(const Guest& guest, int unit) const {
  const Range own = guest.part.elements(unit);
  return guest.host->unit(unit).rows(own.first - guest.host->range(unit).first, own.count());
}

void StateStage::bring(Stream& stream, int unit) {
  for (Guest& guest : guests_) {
    const View slot = guest.slots.assign(unit);
    guest.here->place(unit, slot, guest.part.elements(unit).first);
    if (slot.elements()) copy_to_device(stream, on_host(guest, unit), slot);
  }
}

void StateStage::send_back(Stream& stream, int unit) {
  for (Guest& guest : guests_) {
    const View slot = guest.slots.of(unit);
    if (slot.elements()) copy_to_host(stream, slot, on_host(guest, unit));
  }
}

}  // namespace strata
