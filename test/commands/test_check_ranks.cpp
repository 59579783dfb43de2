// strata check on numbers of ranks: who idles, what that costs, and which numbers would not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "commands/run_fixture.hpp"

namespace strata::test {
namespace {

using ::testing::HasSubstr;

// "severity: message -> remedy" of the first finding with this code; "nothing" where there is none. The fixture has 6 micro-batches a step.
std::string said(const std::string& options, const std::string& code, int status = 0) {
  const CommandResult result = RunFolder::get().strata(0, "check", "--run.folder=fresh --json " + options);
  EXPECT_EQ(result.status, status) << options << "\n" << result.out << result.err;
  const nlohmann::json report = nlohmann::json::parse(result.out);
  for (const auto& finding : report.at("findings"))
    if (finding.at("code") == code)
      return finding.at("severity").get<std::string>() + ": " + finding.at("message").get<std::string>() + " -> " +
             finding.at("remedy").get<std::string>();
  return "nothing";
}

TEST(Ranks, BlocksAreDealtInRunsWhereSumsAreExchangedOnceAStep) {
  EXPECT_EQ(said("--check.ranks=8 --device.threads=1", "batch.idle"),
            "warning: a step has 6 micro-batches for 8 ranks, which are busy 75% of its computing: rank 0 idles all of a step, rank 4 "
            "idles all of a step -> on 6 ranks nobody idles; or make more of batch.global / batch.micro / batch.block");
  EXPECT_EQ(said("--check.ranks=5", "batch.uneven"),
            "warning: a step has 6 micro-batches for 5 ranks, which are busy 60% of its computing: ranks 0 to 3 idle 50% of a step -> on 3 "
            "or 6 ranks nobody idles");
  EXPECT_EQ(said("--check.ranks=3", "batch.uneven"), "nothing");
  EXPECT_THAT(said("--check.ranks=6 --batch.block=2", "batch.idle"), HasSubstr("in blocks of 2 for 6 ranks, which are busy 50%"));
}

TEST(Ranks, MicroBatchesAreDealtInTurnWhereGradientsAreScattered) {
  EXPECT_EQ(said("--check.ranks=4 --parallel.strategy=fsdp", "batch.uneven"),
            "warning: a step has 6 micro-batches for 4 ranks, which are busy 75% of its computing: ranks 2 to 3 idle 50% of a step -> on 3 "
            "or 6 ranks nobody idles");
  EXPECT_EQ(said("--check.ranks=6 --batch.block=2 --parallel.strategy=fsdp", "batch.idle"), "nothing");
}

TEST(Ranks, GroupsTakeRunsAndTheirRanksTurns) {
  EXPECT_EQ(
      said("--check.ranks=8 --parallel.strategy=hybrid --parallel.group=4", "batch.idle"),
      "warning: a step has 6 micro-batches for 8 ranks, which are busy 75% of its computing: rank 3 idles all of a step, rank 7 idles "
      "all of a step -> make more of batch.global / batch.micro / batch.block");
  EXPECT_EQ(said("--check.ranks=6 --parallel.strategy=hybrid --parallel.group=3", "batch.uneven"), "nothing");
}

TEST(Ranks, WhatOtherNumbersThanPowersOfTwoExchange) {
  EXPECT_EQ(said("--check.ranks=2", "batch.ranks"), "nothing");
  EXPECT_THAT(said("--check.ranks=3 --batch.global=28", "batch.ranks"), HasSubstr("note: 3 ranks are no power of two"));
  EXPECT_THAT(said("--check.ranks=4 --batch.accumulation=2", "deck.contradiction", 2), HasSubstr("on 4 ranks make 16"));
}

TEST(Ranks, HostsThatDoNotDivideThemAreSaid) {
  EXPECT_THAT(said("--check.ranks=4 --parallel.node=3", "batch.node"), HasSubstr("warning: 4 ranks do not divide into hosts of 3"));
  EXPECT_EQ(said("--check.ranks=4 --parallel.node=2", "batch.node"), "nothing");
}

}  // namespace
}  // namespace strata::test
