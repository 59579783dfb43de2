#pragma once
// Unit hooks: what a model tells while it runs, so that weights can come and gradients can go unit by unit.
namespace strata {

/// Called by a model in the same order on every rank and in every pass of a kind; the default does nothing.
class UnitHooks {
 public:
  virtual ~UnitHooks() = default;
  /// The unit's weights are about to be read. They stay until a unit of the same kind (another block) is used.
  virtual void use(int /*unit*/) {}
  /// The unit's gradient is about to be set.
  virtual void open_gradient(int /*unit*/) {}
  /// The unit's gradient is complete.
  virtual void close_gradient(int /*unit*/) {}
};

}  // namespace strata
