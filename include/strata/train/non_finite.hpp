#pragma once
// Where a step's numbers ceased to be finite: the first tensor in the order of computation.
#include <cstdint>
#include <string>
#include <vector>

#include "strata/comm/communicator.hpp"
#include "strata/models/model.hpp"
#include "strata/parallel/reduction.hpp"

namespace strata {

class LeafSource;
struct StepParts;

/// The first element that is not finite of a contiguous view; -1: all are. Local.
std::int64_t first_not_finite(const ConstView& view);
/// The first parameter with a value that is not finite, in words; empty: none. Local.
std::string not_finite_parameter(const Model& model, const FlatBuffer& weights);
/// Runs a forward pass, in which nothing is dropped, and looks at each layer's results, whatever of them is kept: the first value that is
/// not finite, in words, with its sequence and token; empty: none. Local, but for what the context's hooks do.
std::string not_finite_activation(Context& context, const Model& model, Activations& activations);
/// The same of the losses of the pass before; empty: all are finite. Local.
std::string not_finite_loss(const Activations& activations);
/// The first gradient of a unit with a value that is not finite, from the back, in words; empty: none. Local.
std::string not_finite_gradient(const Model& model, const FlatBuffer& gradient, int unit);

/// What a step that gave numbers that are not finite can say of them. Every rank computes its leaves of the step again until one shows the
/// tensor; the lowest leaf's finding is everyone's. `kept` are the weights that this rank keeps; `scales[k]` is what its k-th leaf was
/// scaled by. Overwrites the reduction's buffers. Collective over the world of the mesh.
std::string locate_not_finite(StepParts& parts, const Model& model, const FlatBuffer& kept, LeafSource& source, std::int64_t leaves,
                              const std::vector<double>& scales, std::int64_t t);

}  // namespace strata
