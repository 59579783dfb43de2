// The failing step's leaves once more, tensor by tensor. Slow and rare.
#include "strata/train/non_finite.hpp"

#include <cmath>
#include <utility>

#include "strata/base/fault.hpp"
#include "strata/base/half.hpp"
#include "strata/base/phase.hpp"
#include "strata/tensor/values.hpp"
#include "strata/train/step.hpp"

namespace strata {
namespace {

double as_double(double value) {
  return value;
}
double as_double(float value) {
  return static_cast<double>(value);
}
double as_double(Half value) {
  return static_cast<double>(static_cast<float>(value));
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

std::string element_text(const ConstView& view, std::int64_t i, std::int64_t first = 0) {
  const OnHost one(view.reshaped(Shape{view.elements()}).rows(i, 1));
  const ConstView& element = one.view();
  const double value = view.type() == DType::f64   ? *element.as<double>()
                       : view.type() == DType::f32 ? as_double(*element.as<float>())
                       : view.type() == DType::f16 ? as_double(*element.as<Half>())
                                                   : as_double(*element.as<BFloat16>());
  return text("element ", first + i, " is ", value);
}

// Activations are [R, ...]: the row tells sequence and token.
std::string at_row(const std::string& what, const ConstView& view, std::int64_t S) {
  if (!view.given() || !view.contiguous()) return "";
  const std::int64_t i = first_not_finite(view);
  if (i < 0) return "";
  const std::int64_t row = i / (view.elements() / view.size(0));
  return text(what, " (sequence ", row / S, ", token ", row % S, ": ", element_text(view, i), ")");
}

// Looks at each unit's gradient when it is complete, rather than sending it.
class GradientLook final : public UnitHooks {
 public:
  GradientLook(StepParts& parts, const Model& model, const FlatBuffer& gradient) : parts_(parts), model_(model), gradient_(gradient) {}
  void use(int unit) override { parts_.traffic.use(unit); }
  /// Each leaf's alone, over what its unit may be added to: the step is lost.
  Write open_gradient(int unit) override {
    parts_.reduction.open(unit);
    return Write::set;
  }
  void close_gradient(int unit) override {
    if (looking && finding.empty()) finding = not_finite_gradient(model_, gradient_, unit);
  }
  bool looking = true;
  std::string finding;

 private:
  StepParts& parts_;
  const Model& model_;
  const FlatBuffer& gradient_;
};

// What one leaf shows when it is computed again. leaf < 0: this rank has none in the round, and only goes through the motions.
std::string finding_of_leaf(StepParts& p, const Model& model, const FlatBuffer& gradient, double scale, std::int64_t t, std::int64_t leaf) {
  Stream idle = Stream::plan();
  Stream& stream = leaf < 0 ? idle : p.stream;
  p.traffic.begin_evaluation_pass(p.stream);
  Context forward{stream, p.weights, nullptr, &p.traffic};
  p.activations.encoder.step = static_cast<std::uint32_t>(t);
  std::string found;
  if (leaf < 0) {
    model.forward(forward, p.activations);
  } else {
    found = not_finite_activation(forward, model, p.activations);
    if (fault_poisons(t, leaf)) set_values(p.activations.row_loss.rows(0, 1), std::vector{std::nan("")});
    if (found.empty()) found = not_finite_loss(p.activations);
  }
  p.traffic.begin_quiet_training_pass(p.stream);
  GradientLook look(p, model, gradient);
  look.looking = leaf >= 0 && found.empty();
  Context both{stream, p.weights, &gradient, &look};
  model.forward_backward(both, p.activations, scale);
  return found.empty() ? look.finding : found;
}

// The lowest number's text, and that number; `none`: nobody has one. Collective.
std::pair<std::string, std::int64_t> lowest(Communicator& comm, const std::string& text, std::int64_t number, std::int64_t none) {
  const std::int64_t first = comm.all_min(number);
  if (first == none) return {"", none};
  const auto owner = static_cast<int>(comm.all_max(number == first ? comm.rank() : -1));
  return {broadcast_text(comm, text, owner), first};
}

// Number and description of the first parameter that is not finite, of what is here; the number of parameters: none.
std::pair<std::int64_t, std::string> first_parameter(const Model& model, const FlatBuffer& weights) {
  const auto parameters = static_cast<int>(model.parameters().parameters().size());
  for (int p = 0; p < parameters; ++p) {
    const Range held = weights.held(p);
    if (held.count() == 0) continue;
    const ConstView view = weights.slice(p, held);
    if (const std::int64_t i = first_not_finite(view); i >= 0)
      return {p, text("the parameter ", model.parameters()[p].name, " (", element_text(view, i, held.first), ")")};
  }
  return {parameters, ""};
}

}  // namespace

std::int64_t first_not_finite(const ConstView& anywhere) {
  const OnHost here(anywhere);
  const ConstView& view = here.view();
  switch (view.type()) {
    case DType::f64:
      return first_in<double>(view);
    case DType::f32:
      return first_in<float>(view);
    case DType::bf16:
      return first_in<BFloat16>(view);
    case DType::f16:
      return first_in<Half>(view);
    default:
      return -1;
  }
}

std::string not_finite_parameter(const Model& model, const FlatBuffer& weights) {
  return first_parameter(model, weights).second;
}

std::string not_finite_activation(Context& context, const Model& model, Activations& a) {
  std::string found;
  model.forward(context, a, [&](const std::string& what, const View& view) {
    if (found.empty()) found = at_row(what, view, a.pass.S);
  });
  return found;
}

std::string not_finite_loss(const Activations& a) {
  if (a.row_loss.elements() == a.pass.R()) return at_row("the loss", a.row_loss, a.pass.S);
  const std::int64_t i = first_not_finite(a.row_loss);  // of a span's two ends
  return i < 0 ? ""
               : text("the loss (sequence ", i / 2, ", ", i % 2 == 0 ? "first" : "last",
                      " token of the answer: ", element_text(a.row_loss, i), ")");
}

std::string not_finite_gradient(const Model& model, const FlatBuffer& gradient, int unit) {
  const Unit& of = model.parameters().units()[static_cast<std::size_t>(unit)];
  for (int p = of.first + of.count; p-- > of.first;) {
    const ConstView view = gradient.parameter(p);
    if (const std::int64_t i = first_not_finite(view); i >= 0)
      return text("the gradient of ", model.parameters()[p].name, " (", element_text(view, i), ")");
  }
  return "";
}

std::string locate_not_finite(StepParts& p, const Model& model, const FlatBuffer& kept, LeafSource& source, std::int64_t leaves,
                              const std::vector<double>& scales, std::int64_t t) {
  Phase::enter("the search for the first number that is not finite");
  p.traffic.settle_weights();
  Communicator& comm = p.mesh.world();
  const auto parameters = static_cast<std::int64_t>(model.parameters().parameters().size());
  const auto [parameter, in_words] = first_parameter(model, kept);
  if (const auto found = lowest(comm, in_words, parameter, parameters); found.second < parameters) return found.first;

  p.reduction.begin(p.stream, leaves);
  std::string finding;
  std::int64_t found_at = leaves;
  for (std::int64_t round = 0; round < p.reduction.round_count(); ++round, Phase::tick()) {
    const std::int64_t leaf = p.reduction.leaf_of(round);
    const FlatBuffer& gradient = p.reduction.begin_round(round);
    if (leaf >= 0) source.fill_again(leaf, p.activations);
    const std::string found =
        finding_of_leaf(p, model, gradient, leaf < 0 ? 1.0 : scales[static_cast<std::size_t>(round)] * p.loss_scale.value(), t, leaf);
    if (!found.empty() && finding.empty()) finding = found, found_at = leaf;
    // The ranks of a group need one another in every round.
    if (p.mesh.shards().all_max(finding.empty() ? 0 : 1)) break;
  }
  const auto [text_of, leaf] = lowest(comm, finding, found_at, leaves);
  if (leaf == leaves) return "the sum of the gradients (each micro-batch's own is finite)";
  return text(text_of, " of micro-batch ", leaf);
}

}  // namespace strata
