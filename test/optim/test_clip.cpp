// The clipping coefficient of semantics S4, and which tensors decay.
#include "strata/optim/clip.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "strata/base/error.hpp"

namespace strata {
namespace {

TEST(ClipCoefficient, ShrinksOnlyWhatIsTooLong) {
  EXPECT_EQ(clip_coefficient(4.0, 1.0), 1.0 / 4.000001);
  EXPECT_EQ(clip_coefficient(0.5, 1.0), 1.0);
  EXPECT_EQ(clip_coefficient(0.0, 1.0), 1.0);
  EXPECT_EQ(clip_coefficient(1.0, 1.0), 1.0 / 1.000001);  // torch: a norm equal to the limit is shrunk by the 1e-6
}

TEST(ClipCoefficient, ZeroIsOff) {
  EXPECT_EQ(clip_coefficient(1e30, 0.0), 1.0);
}

TEST(ClipCoefficient, DoesNotHideWhatIsNotFinite) {
  EXPECT_TRUE(std::isnan(clip_coefficient(std::nan(""), 1.0)));
  EXPECT_EQ(clip_coefficient(std::numeric_limits<double>::infinity(), 1.0), 0.0);
  EXPECT_THROW(clip_coefficient(1.0, -1.0), InternalError);
  EXPECT_THROW(clip_coefficient(-1.0, 1.0), InternalError);
}

TEST(DecayApplies, ToMatricesOrToAll) {
  EXPECT_TRUE(decay_applies("matrices", 2, "model.embed_tokens.weight"));
  EXPECT_FALSE(decay_applies("matrices", 1, "model.norm.weight"));
  EXPECT_TRUE(decay_applies("all", 1, "model.norm.weight"));
}

TEST(DecayApplies, RefusesAnotherWord) {
  try {
    decay_applies("none", 2, "lm_head.weight");
    ADD_FAILURE() << "accepted";
  } catch (const DeckError& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("optimizer.decay: expected matrices or all, found \"none\""));
  }
}

}  // namespace
}  // namespace strata
