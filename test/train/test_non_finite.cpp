// Where numbers cease to be finite: the first tensor of the order of computation is named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "strata/train/non_finite.hpp"
#include "support/model_fixture.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class NotFinite : public ::testing::TestWithParam<ActivationPolicy> {
 protected:
  NotFinite() : fixture_(data_file("models") / "qwen3-tied", DType::f32, {2, 8}, 2, GetParam()) {
    auto& a = fixture_.activations();
    for (std::int64_t i = 0; i < a.inputs.elements(); ++i)
      a.inputs.as<std::int32_t>()[i] = static_cast<std::int32_t>(i % 7), a.labels.as<std::int32_t>()[i] = 3;
  }
  View weight(const std::string& name) { return fixture_.store().weight.parameter(fixture_.model().parameters().find(name)); }
  std::string after_forward() {
    Context context{fixture_.stream(), fixture_.store().weight};
    const std::string found = not_finite_activation(context, fixture_.model(), fixture_.activations());
    return found.empty() ? not_finite_loss(fixture_.activations()) : found;
  }
  std::string first_gradient() {
    std::string found;
    for (auto u = static_cast<int>(fixture_.model().parameters().units().size()); u-- > 0 && found.empty();)
      found = not_finite_gradient(fixture_.model(), fixture_.gradients(), u);
    return found;
  }
  ModelFixture fixture_;
};

TEST_P(NotFinite, NothingToFind) {
  EXPECT_EQ(not_finite_parameter(fixture_.model(), fixture_.store().weight), "");
  EXPECT_EQ(after_forward(), "");
  Context context = fixture_.context();
  fixture_.model().forward_backward(context, fixture_.activations(), 1.0);
  EXPECT_EQ(first_gradient(), "");
}

TEST_P(NotFinite, AParameterIsNamedWithItsElement) {
  weight("model.layers.1.mlp.up_proj.weight").as<float>()[5] = INFINITY;
  EXPECT_EQ(not_finite_parameter(fixture_.model(), fixture_.store().weight),
            "the parameter model.layers.1.mlp.up_proj.weight (element 5 is inf)");
}

TEST_P(NotFinite, TheFirstActivationIsNamedNotTheLoss) {
  weight("model.layers.0.self_attn.v_proj.weight").as<float>()[0] = NAN;
  EXPECT_THAT(after_forward(), StartsWith("layer 0: queries, keys and values (sequence 0, token 0: element "));
}

TEST_P(NotFinite, ALaterLayerIsNotBlamedOnTheFirst) {
  weight("model.layers.1.mlp.down_proj.weight").as<float>()[0] = NAN;
  EXPECT_THAT(after_forward(), StartsWith("layer 1: the residual stream after the MLP (sequence 0, token 0: element 0 is nan)"));
}

TEST_P(NotFinite, AGradientIsNamedFromTheBack) {
  Context context = fixture_.context();
  fixture_.model().forward_backward(context, fixture_.activations(), 1e60);
  EXPECT_THAT(first_gradient(), HasSubstr("the gradient of "));
}

TEST_P(NotFinite, TheEmbeddingIsLookedAtToo) {
  weight("model.embed_tokens.weight").as<float>()[0] = INFINITY;
  EXPECT_THAT(after_forward(), StartsWith("the output of the embedding (sequence 0, token 0: element 0 is inf)"));
}

// Whatever is kept of the pass.
INSTANTIATE_TEST_SUITE_P(Modes, NotFinite,
                         ::testing::Values(ActivationPolicy{Recompute::none, false}, ActivationPolicy{Recompute::selective, false},
                                           ActivationPolicy{Recompute::full, false}, ActivationPolicy{Recompute::none, true},
                                           ActivationPolicy{Recompute::full, true}));

}  // namespace
}  // namespace strata::test
