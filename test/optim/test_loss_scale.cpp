// The loss scale: torch's sequence (semantics S4), its end, what a restart keeps, and what decks may ask for.
#include "strata/optim/loss_scale.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "strata/base/error.hpp"

namespace strata::test {
namespace {

PrecisionConfig fp16() {
  PrecisionConfig config;
  config.compute = "fp16";
  return config;
}

TEST(LossScale, IsOneForGoodUnlessComputingInFp16) {
  for (const char* compute : {"fp32", "bf16", "fp64"}) {
    PrecisionConfig config;
    config.compute = compute;
    LossScale scale(config);
    EXPECT_EQ(scale.value(), 1);
    EXPECT_FALSE(scale.adapts());
    EXPECT_FALSE(scale.can_fall());
    for (int i = 0; i < 5000; ++i) EXPECT_FALSE(scale.update_made());
    EXPECT_EQ(scale.value(), 1);
  }
}

TEST(LossScale, ANumberStaysAsItIs) {
  PrecisionConfig config = fp16();
  config.loss_scale = "1024";
  LossScale scale(config);
  EXPECT_FALSE(scale.adapts());
  EXPECT_FALSE(scale.can_fall());
  for (int i = 0; i < 5000; ++i) scale.update_made();
  EXPECT_EQ(scale.value(), 1024);
  config.loss_scale = "none";
  EXPECT_EQ(LossScale(config).value(), 1);
}

// torch.amp.GradScaler with its defaults: 2^16, halved by every overflow, doubled by the 2000th update on end since the last change.
TEST(LossScale, FollowsTorchsSequence) {
  LossScale scale(fp16());
  EXPECT_EQ(scale.value(), 65536);
  for (int i = 1; i < 2000; ++i) EXPECT_FALSE(scale.update_made());
  EXPECT_EQ(scale.value(), 65536);
  EXPECT_TRUE(scale.update_made());
  EXPECT_EQ(scale.value(), 131072);
  for (int i = 0; i < 1999; ++i) scale.update_made();
  scale.overflowed();  // the count begins anew
  EXPECT_EQ(scale.value(), 65536);
  scale.overflowed();
  EXPECT_EQ(scale.value(), 32768);
  EXPECT_EQ(scale.overflows(), 2);
  for (int i = 1; i < 2000; ++i) EXPECT_FALSE(scale.update_made());
  EXPECT_TRUE(scale.update_made());
  EXPECT_EQ(scale.value(), 65536);
}

TEST(LossScale, DoesNotFallBelowTheSmallest) {
  PrecisionConfig config = fp16();
  config.initial_scale = 64, config.scale_backoff = 0.25, config.smallest_scale = 8;
  LossScale scale(config);
  EXPECT_TRUE(scale.can_fall());
  scale.overflowed();
  EXPECT_EQ(scale.value(), 16);
  EXPECT_FALSE(scale.can_fall());
  EXPECT_THROW(scale.overflowed(), InternalError);
  EXPECT_NE(scale.exhausted_text().find("loss scale at 16, which cannot fall below precision.smallest_scale = 8"), std::string::npos)
      << scale.exhausted_text();
}

TEST(LossScale, RisesToItsLargestAndNoFurther) {
  PrecisionConfig config = fp16();
  config.initial_scale = 0x1p39, config.scale_window = 1;
  LossScale scale(config);
  EXPECT_TRUE(scale.update_made());
  EXPECT_FALSE(scale.update_made());
  EXPECT_EQ(scale.value(), 0x1p40);
}

TEST(LossScale, ARestartGoesOnWhereItStopped) {
  PrecisionConfig config = fp16();
  config.scale_window = 5;
  LossScale whole(config), first(config);
  const auto both = [&](auto&& change) { change(whole), change(first); };
  for (int i = 0; i < 7; ++i) both([](LossScale& s) { s.update_made(); });
  both([](LossScale& s) { s.overflowed(); });
  for (int i = 0; i < 3; ++i) both([](LossScale& s) { s.update_made(); });

  std::map<std::string, std::string> texts;
  first.save(texts);
  LossScale second(config);
  second.restore(texts);

  EXPECT_EQ(second.value(), whole.value());
  EXPECT_EQ(second.overflows(), 1);
  EXPECT_FALSE(second.update_made());
  EXPECT_TRUE(second.update_made());
  EXPECT_EQ(second.value(), 131072);
}

TEST(LossScale, OverflowsCountOnWhereTheScaleBecomesANumber) {
  LossScale adaptive(fp16());
  adaptive.overflowed();
  std::map<std::string, std::string> texts;
  adaptive.save(texts);
  PrecisionConfig config = fp16();
  config.loss_scale = "256";
  LossScale fixed(config);
  fixed.restore(texts);
  EXPECT_EQ(fixed.value(), 256);
  EXPECT_EQ(fixed.overflows(), 1);
}

TEST(LossScale, NothingIsStoredWithoutOne) {
  std::map<std::string, std::string> texts;
  LossScale().save(texts);
  EXPECT_TRUE(texts.empty());
  LossScale scale(fp16());
  scale.restore(texts);
  EXPECT_EQ(scale.value(), 65536);
}

TEST(LossScale, RubbishInARecordIsNotBelieved) {
  for (const char* stored : {"nan", "-4", "3", "0", "inf", "1e400", "", "16x"}) {
    LossScale scale(fp16());
    scale.restore({{"loss_scale", stored}, {"loss_scale_good_steps", "7"}, {"loss_scale_overflows", "2"}});
    EXPECT_EQ(scale.value(), 65536) << stored;
  }
}

TEST(LossScale, DecksMayAskForPowersOfTwo) {
  for (const char* fine : {"dynamic", "none", "1", "2", "1024", "65536", "1099511627776"}) EXPECT_TRUE(is_loss_scale(fine)) << fine;
  for (const char* wrong : {"", "0", "-2", "3", "1000", "0.5", "inf", "nan", "2199023255552", "2x", "dynamic "})
    EXPECT_FALSE(is_loss_scale(wrong)) << wrong;
}

}  // namespace
}  // namespace strata::test
