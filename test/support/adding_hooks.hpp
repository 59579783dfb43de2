#pragma once
// A model whose units that add are told to: what comes must be the bits of two gradients made apart, then added.
#include <gtest/gtest.h>

#include "strata/layers/context.hpp"
#include "support/model_fixture.hpp"

namespace strata::test {

class AddingHooks final : public UnitHooks {
 public:
  explicit AddingHooks(const ParameterSet& set) : set_(set) {}
  Write open_gradient(int unit) override { return set_.units()[static_cast<std::size_t>(unit)].adds ? Write::add : Write::set; }

 private:
  const ParameterSet& set_;
};

/// Expects the gradient at one scale, added to that at another, to be their sum in every unit that adds, and itself in the others.
template <class Fixture>
void expect_gradients_are_added(Fixture& fixture) {
  const ParameterSet& set = fixture.model().parameters();
  const bool wide = fixture.gradients().flat().type() == DType::f64;
  Context context = fixture.context();
  const auto gradient = [&](double scale) {
    fixture.model().forward_backward(context, fixture.activations(), scale);
    return values_of(fixture.gradients().flat());
  };
  const Doubles second = gradient(0.03), first = gradient(0.1);
  AddingHooks hooks(set);
  context.hooks = &hooks;

  const Doubles found = gradient(0.03);

  int adding = 0;
  for (const Unit& unit : set.units()) {
    adding += unit.adds ? 1 : 0;
    for (std::int64_t e = unit.offset; e < unit.offset + unit.elements; ++e) {
      const auto i = static_cast<std::size_t>(e);
      // Two f32 values added in f64 and rounded to f32 give the f32 sum.
      const double sum = wide ? first[i] + second[i] : static_cast<double>(static_cast<float>(first[i] + second[i]));
      ASSERT_EQ(found[i], unit.adds ? sum : second[i]) << unit.name << " element " << e - unit.offset;
    }
  }
  EXPECT_GT(adding, 1);
}

}  // namespace strata::test
