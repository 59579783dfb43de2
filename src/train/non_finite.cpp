// The failing step's leaves once more, tensor by tensor. Slow and rare.
#include "strata/train/non_finite.hpp"

#include <cmath>

#include "strata/base/fault.hpp"
#include "strata/base/phase.hpp"
#include "strata/train/step.hpp"

namespace strata {
namespace {

double as_double(double value) {
  return value;
}
double as_double(float value) {
  return static_cast<double>(value);
}
double as_double(BFloat16 value) {
  return static_cast<double>(static_cast<float>(value));
}

template <class T>
std::int64_t first_in(const ConstView& view) {
  const T* values = view.as<T>();
  for (std::int64_t i = 0; i < view.elements(); ++i)
    if (!std::isfinite(as_double(values[i]))) return i;
  return -1;
}

std::string element_text(const ConstView& view, std::int64_t i) {
  const double value = view.type() == DType::f64   ? view.as<double>()[i]
                       : view.type() == DType::f32 ? as_double(view.as<float>()[i])
                                                   : as_double(view.as<BFloat16>()[i]);
  return text("element ", i, " is ", value);
}

// Activations are [R, ...]: the row tells sequence and token.
std::string at_row(const std::string& what, const ConstView& view, std::int64_t S) {
  if (!view.given() || !view.contiguous()) return "";
  const std::int64_t i = first_not_finite(view);
  if (i < 0) return "";
  const std::int64_t row = i / (view.elements() / view.size(0));
  return text(what, " (sequence ", row / S, ", token ", row % S, ": ", element_text(view, i), ")");
}

// What one leaf shows when it is computed again.
std::string finding_of_leaf(Stream& stream, const CausalLm& model, const FlatBuffer& weights, const FlatBuffer& gradient,
                            CausalLm::Activations& activations, double scale, std::int64_t t, std::int64_t leaf) {
  Context forward{stream, weights};
  std::string found = not_finite_activation(forward, model, activations);
  if (fault_poisons(t, leaf)) activations.row_loss.as<double>()[0] = std::nan("");
  if (found.empty()) found = not_finite_loss(activations);
  if (!found.empty()) return found;
  Context both{stream, weights, &gradient};
  model.forward_backward(both, activations, scale);
  return not_finite_gradient(model, gradient);
}

}  // namespace

std::int64_t first_not_finite(const ConstView& view) {
  switch (view.type()) {
    case DType::f64:
      return first_in<double>(view);
    case DType::f32:
      return first_in<float>(view);
    case DType::bf16:
      return first_in<BFloat16>(view);
    default:
      return -1;
  }
}

std::string not_finite_parameter(const CausalLm& model, const FlatBuffer& weights) {
  for (std::size_t p = 0; p < model.parameters().parameters().size(); ++p) {
    const ConstView view = weights.parameter(static_cast<int>(p));
    if (const std::int64_t i = first_not_finite(view); i >= 0)
      return text("the parameter ", model.parameters()[static_cast<int>(p)].name, " (", element_text(view, i), ")");
  }
  return "";
}

std::string not_finite_activation(Context& context, const CausalLm& model, CausalLm::Activations& a) {
  std::string found;
  model.forward(context, a, [&](std::size_t l, const View& x, const Block::Saved& saved, const View& y) {
    const std::string layer = text("layer ", l, ": ");
    const auto look = [&](const char* what, const View& view) {
      if (found.empty()) found = at_row(layer + what, view, a.pass.S);
    };
    if (l == 0) found = at_row("the output of the embedding", x, a.pass.S);
    look("queries, keys and values", saved.attention.qkv);
    look("the output of the attention", saved.attention.o);
    look("the residual stream after the attention", saved.x_mid);
    look("gate and up of the MLP", saved.mlp.gate_up);
    look("the residual stream after the MLP", y);
  });
  return found;
}

std::string not_finite_loss(const CausalLm::Activations& a) {
  return at_row("the loss", a.row_loss, a.pass.S);
}

std::string not_finite_gradient(const CausalLm& model, const FlatBuffer& gradient) {
  for (std::size_t p = model.parameters().parameters().size(); p-- > 0;) {
    const ConstView view = gradient.parameter(static_cast<int>(p));
    if (const std::int64_t i = first_not_finite(view); i >= 0)
      return text("the gradient of ", model.parameters()[static_cast<int>(p)].name, " (", element_text(view, i), ")");
  }
  return "";
}

std::string locate_not_finite(Stream& stream, Communicator& comm, const CausalLm& model, const FlatBuffer& weights,
                              GradientReduction& reduction, CausalLm::Activations& activations, LeafSource& source, std::int64_t leaves,
                              const std::vector<double>& scales, std::int64_t t) {
  Phase::enter("the search for the first number that is not finite");
  // All ranks have the same parameters.
  if (std::string found = not_finite_parameter(model, weights); !found.empty()) return found;
  reduction.begin(leaves);
  const FlatBuffer& gradient = reduction.leaf();
  std::string finding;
  std::int64_t found_at = leaves;
  guarded(comm, [&] {
    for (std::int64_t leaf = reduction.first(); leaf < reduction.last() && finding.empty(); ++leaf, Phase::tick()) {
      source.fill_again(leaf, activations);
      finding = finding_of_leaf(stream, model, weights, gradient, activations, scales[static_cast<std::size_t>(leaf - reduction.first())],
                                t, leaf);
      if (!finding.empty()) found_at = leaf;
    }
  });
  const std::int64_t first = comm.all_min(found_at);
  if (first == leaves) return "the sum of the gradients (each micro-batch's own is finite)";
  const auto owner = static_cast<int>(comm.all_max(found_at == first ? comm.rank() : -1));
  return text(broadcast_text(comm, finding, owner), " of micro-batch ", first);
}

}  // namespace strata
