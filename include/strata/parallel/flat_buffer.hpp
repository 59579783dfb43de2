#pragma once
// Flat buffer: one value per element of a parameter set (weights, gradients, moments), all of it or the shards of one owner.
#include <string>
#include <vector>

#include "strata/base/function_ref.hpp"
#include "strata/parallel/partition.hpp"
#include "strata/tensor/view.hpp"

namespace strata {

/// What of every unit is here: a contiguous stretch, in one flat buffer or wherever place() says. The padding holds zeros.
class FlatBuffer {
 public:
  FlatBuffer() = default;
  /// Nothing is here until place() says so.
  explicit FlatBuffer(const ParameterSet& set) : set_(&set), stretches_(set.units().size()) {}
  static FlatBuffer take(Arena& arena, const std::string& name, DType type, const Partition& partition);
  /// Of some units only; the others have no memory.
  static FlatBuffer take(Arena& arena, const std::string& name, DType type, const Partition& partition,
                         FunctionRef<bool(const Unit&)> wanted);

  bool given() const { return set_ != nullptr; }
  /// The memory of a buffer that was taken; not given after place().
  View flat() const { return flat_; }
  /// From now on, elements [first, first + values.elements()) of the unit are `values`.
  void place(int unit, View values, std::int64_t first = 0);
  /// What of a unit is here, without padding, and which elements those are.
  View unit(int u) const { return at(u).values; }
  Range range(int u) const { return {at(u).first, at(u).first + (at(u).values.given() ? at(u).values.elements() : 0)}; }
  /// The parameter, which must be here as a whole.
  View parameter(int p) const { return fused(p, (*set_)[p].shape); }
  /// `shape` elements from the beginning of parameter p on: p and its neighbours as one matrix.
  View fused(int p, Shape shape) const;
  /// Elements of parameter p that are here, counted inside it; empty: none.
  Range held(int p) const;
  /// Elements [range.first, range.last) of parameter p, which must be here.
  View slice(int p, Range range) const;

 private:
  struct Stretch {
    std::int64_t first = 0;
    View values;
  };
  const Stretch& at(int u) const { return stretches_[static_cast<std::size_t>(u)]; }
  View within(int u, std::int64_t first, std::int64_t count) const;

  const ParameterSet* set_ = nullptr;
  View flat_;
  std::vector<Stretch> stretches_;
};

}  // namespace strata
