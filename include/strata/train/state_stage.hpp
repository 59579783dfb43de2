#pragma once
// State stage: where a unit's state is while it is updated. What lies in host memory comes to the device for that, and goes back, while the
// units before and after it are updated.
#include <optional>

#include "strata/ops/transfer.hpp"
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
  /// Where the tensors are; of those in host memory, the units between use() and send_back().
  const Tensors& tensors() const { return tensors_; }
  /// The own parts of the first units set out. They may wait on the device for their update; begun again, they come again. Local.
  void begin(Stream& stream);
  bool begun() const { return next_ > 0; }
  /// The stream goes on when the own part of a unit is here. Units are used in order. Local.
  void use(Stream& stream, int unit);
  /// The unit is updated: it goes back behind what was given to the stream, and one more sets out. Behind the mark it is in host memory.
  /// Local.
  GpuMark send_back(Stream& stream, int unit);
  /// All units are updated.
  void end() { next_ = updated_ = 0; }
  /// Returns when all state is where it is kept, for the host to read. Local.
  void settle(Stream& stream) const { wait_for(stream, last_sent_); }

 private:
  /// One tensor that waits in host memory.
  struct Guest {
    const FlatBuffer* host;
    FlatBuffer* here;
    UnitSlots slots;
  };
  View on_host(const Guest& guest, int unit) const;
  std::vector<HostCopy> copies(int unit) const;
  void bring_what_has_room(Stream& stream);

  Tensors tensors_;
  Partition part_;  // what is updated here
  std::vector<Guest> guests_;
  int units_, next_ = 0, updated_ = 0;  // units that have set out, and that are updated, in this step
  std::vector<GpuMark> come_, sent_;    // by unit
  GpuMark last_sent_;
};

}  // namespace strata
