#pragma once
// State stage: where a unit's state is while it is updated. What lies in host memory comes to the device for that, and goes back.
#include <optional>

#include "strata/parallel/unit_slots.hpp"
#include "strata/train/state.hpp"

namespace strata {

class StateStage {
 public:
  /// Takes slots "offload.<tensor>.<unit>" for what the state keeps in host memory: one in use, one under way.
  StateStage(Arena& arena, const TrainState& state);

  struct Tensors {
    FlatBuffer weight, rest, exp_avg, exp_avg_sq;
  };
  /// Where the tensors are; of those in host memory, the units between bring() and send_back().
  const Tensors& tensors() const { return tensors_; }
  /// Brings the own part of a unit. Local.
  void bring(Stream& stream, int unit);
  /// The unit is updated. Local.
  void send_back(Stream& stream, int unit);

 private:
  /// One tensor that waits in host memory.
  struct Guest {
    const FlatBuffer* host;
    FlatBuffer* here;
    UnitSlots slots;
    Partition part;  // what of it is updated here
  };
  View on_host(const Guest& guest, int unit) const;

  Tensors tensors_;
  std::vector<Guest> guests_;
};

}  // namespace strata
