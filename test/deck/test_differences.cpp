// Differences between a stored deck and the present one, and which of them a run may not go on with.
#include <gtest/gtest.h>

#include "deck/deck_fixture.hpp"

namespace {
using namespace strata;
using test::parse_text;

TEST(Differences, EqualDecksHaveNone) {
  const Deck deck = parse_text("[run]\nseed = 7\n");
  EXPECT_TRUE(differences(deck, Deck::parse({{"echo", deck.echo()}})).empty());
  EXPECT_TRUE(differences(parse_text("[train]\nmax_steps = 1000"), parse_text("[train]\nmax_steps = 1k")).empty());
}

TEST(Differences, SayWhatDecidesTheResult) {
  const auto found = differences(parse_text("[optimizer]\nlr = 1e-4\n"), parse_text("[optimizer]\nlr = 2e-4\n[train]\nlog_every = 10\n"));
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0].key, "train.log_every");
  EXPECT_EQ(found[0].stored, "1");
  EXPECT_EQ(found[0].now, "10");
  EXPECT_FALSE(found[0].decides_result);
  EXPECT_EQ(found[1].key, "optimizer.lr");
  EXPECT_EQ(found[1].stored, "1e-04");
  EXPECT_EQ(found[1].now, "2e-04");
  EXPECT_TRUE(found[1].decides_result);
}

TEST(Differences, KeysThatDecideAndKeysThatAreFree) {
  const auto decides = [](const std::string& override) {
    const auto found = differences(parse_text(""), parse_text("", {"--" + override}));
    EXPECT_EQ(found.size(), 1u) << override;
    return found.size() == 1 && found[0].decides_result;
  };
  for (const auto* key :
       {"run.seed=1", "data.sequence=64", "data.shuffle=off", "data.mask_documents=on", "batch.global=8", "batch.micro=8", "batch.block=2",
        "batch.accumulation=2", "train.clip=0", "train.loss=microbatch_mean", "optimizer.betas=0, 0", "optimizer.decay=all",
        "schedule.kind=linear", "schedule.warmup_steps=1", "precision.compute=fp32", "parallel.reduction=fast"}) {
    EXPECT_TRUE(decides(key)) << key;
  }
  for (const auto* key : {"train.max_steps=5", "train.epochs=5", "train.validate_every=5", "checkpoint.every=5", "checkpoint.verify=off",
                          "generate.top_k=5", "data.train=moved.h5"}) {
    EXPECT_FALSE(decides(key)) << key;
  }
}

TEST(Differences, KeysOfTheLaunchAreNone) {
  for (const auto* key :
       {"run.folder=x", "run.progress=off", "run.resume=never", "device.threads=2", "device.kind=cpu", "parallel.timeout=1h"}) {
    const std::string given = key;
    const Deck now = parse_text("", {"--" + given});
    EXPECT_TRUE(differences(parse_text(""), now).empty()) << key;
    EXPECT_NE(now.value(given.substr(0, given.find('='))), parse_text("").value(given.substr(0, given.find('=')))) << key;
  }
}

TEST(Differences, ALongerRunSaysThatTheScheduleFollows) {
  const auto longer = [](const std::string& schedule) {
    return differences(parse_text("[train]\nmax_steps = 100\n" + schedule), parse_text("[train]\nmax_steps = 200\n" + schedule)).at(0).note;
  };
  EXPECT_EQ(longer(""), "the schedule's length follows it; schedule.steps = 100 keeps the stored one");
  EXPECT_EQ(longer("[schedule]\nsteps = 200\n"), "");
  EXPECT_EQ(longer("[schedule]\nkind = constant\n"), "");
}

}  // namespace
