#pragma once
// Context: what every layer call needs besides its inputs.
#include "strata/device/blas.hpp"
#include "strata/device/stream.hpp"
#include "strata/parallel/flat_buffer.hpp"
#include "strata/parallel/unit_hooks.hpp"

namespace strata {

/// Layers own no memory: weights are read from, and gradients set in, the flat buffers named here.
struct Context {
  Stream& stream;
  const FlatBuffer& weights;              // compute type
  const FlatBuffer* gradients = nullptr;  // f32 (f64); backward only
  UnitHooks* hooks = nullptr;             // told which unit is used, and whose gradient is made
  Write write = Write::set;               // how a backward call writes its parameters' gradients: as open_gradient() was told

  void use(int unit) const {
    if (hooks) hooks->use(unit);
  }
  void open_gradient(int unit) { write = hooks ? hooks->open_gradient(unit) : Write::set; }
  void close_gradient(int unit) const {
    if (hooks) hooks->close_gradient(unit);
  }
};

/// Rows of a pass: B sequences of S tokens each, R = B S rows.
struct PassShape {
  std::int64_t B = 0, S = 0;
  std::int64_t R() const { return B * S; }
};

/// What a layer keeps from forward to backward: everything its backward pass reads, or only what is costly to compute. The cheap rest
/// (norms, rotation, activation products) is then made again in scratch, with the same bits.
enum class Keep { all, costly };

/// The kept tensor, or the scratch that stands in for it.
inline const View& kept_or(const View& kept, const View& scratch) {
  return kept.given() ? kept : scratch;
}

}  // namespace strata
