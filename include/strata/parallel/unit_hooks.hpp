#pragma once
// Unit hooks: what a model tells while it runs, so that weights can come and gradients can go unit by unit.
#include "strata/device/blas.hpp"

namespace strata {

/// Called by a model in the same order on every rank and in every pass of a kind; the default does nothing.
class UnitHooks {
 public:
  virtual ~UnitHooks() = default;
  /// The unit's weights are about to be read. They stay until a unit of the same kind (another block) is used.
  virtual void use(int /*unit*/) {}
  /// The unit's gradient is about to be made. Whether it is to be set, or, for a unit that adds (ParameterSet), to be added to what is
  /// there.
  virtual Write open_gradient(int /*unit*/) { return Write::set; }
  /// The unit's gradient is complete.
  virtual void close_gradient(int /*unit*/) {}
};

}  // namespace strata
