// What the watchdog says of the others' news, and when it goes on waiting.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "strata/base/phase.hpp"
#include "strata/comm/watchdog.hpp"

namespace {
using namespace strata;
using ::testing::HasSubstr;

const std::vector<std::string> hosts = {"n1", "n1", "n2"};
constexpr const char* exchange = "the gradient exchange of step 57";

RankNews waiting(int rank, const std::string& phase = exchange) {
  return {rank, true, true, 600, 1, phase};
}

RankNews unknown(int rank) {
  RankNews news;
  news.rank = rank;
  return news;
}

TEST(WatchdogVerdict, NamesTheSilentRankItsHostAndItsLastPhase) {
  const std::string verdict =
      watchdog_verdict({waiting(0), waiting(1), {2, true, false, 601, 600, "micro-batch 3 of step 57"}}, hosts, 0, exchange, 600, 47);
  EXPECT_THAT(verdict, HasSubstr("rank 2 on host n2 has not come to 'the gradient exchange of step 57': it was last heard in 'micro-batch "
                                 "3 of step 57' 600 s ago and "
                                 "has been silent since (stopped, or its host is lost)"));
  EXPECT_THAT(verdict, HasSubstr("rank 0 on host n1 waited 600 s in 'the gradient exchange of step 57'"));
}

TEST(WatchdogVerdict, ARankThatIsAliveButStuckIsToldFromOneThatIsSilent) {
  const std::string verdict = watchdog_verdict({waiting(0), {1, true, false, 620, 2, "the save of the checkpoint of step 50"}, waiting(2)},
                                               hosts, 0, exchange, 600, 47);
  EXPECT_THAT(verdict, HasSubstr("rank 1 on host n1 has not come to"));
  EXPECT_THAT(verdict, HasSubstr("'the save of the checkpoint of step 50' 620 s ago and is alive there"));
}

TEST(WatchdogVerdict, WhenAllWaitItIsTheLink) {
  EXPECT_THAT(watchdog_verdict({waiting(0), waiting(1), waiting(2)}, hosts, 0, exchange, 600, 47),
              HasSubstr("all other ranks are alive and wait too: the link"));
  EXPECT_THAT(watchdog_verdict({waiting(0), waiting(1), waiting(2, "the count of tokens of step 57")}, hosts, 0, exchange, 600, 47),
              HasSubstr("(rank 2 on host n2 waits in 'the count of tokens of step 57')"));
}

TEST(WatchdogVerdict, WithoutNewsItSaysSo) {
  EXPECT_THAT(watchdog_verdict({waiting(0), unknown(1), unknown(2)}, {}, 0, "the meeting of the ranks", 600, 47),
              HasSubstr("there is no news of 2 of the other ranks"));
}

TEST(WatchdogVerdict, ManyMissingRanksAreCounted) {
  std::vector<RankNews> news = {waiting(0)};
  for (int r = 1; r < 10; ++r) news.push_back({r, true, false, 600, 600, "micro-batch 1 of step 2"});
  EXPECT_THAT(watchdog_verdict(news, {}, 0, exchange, 600, 47), HasSubstr("; and 5 more"));
}

TEST(WatchdogBusy, OnlyARankThatGetsOnIsWaitedFor) {
  EXPECT_TRUE(watchdog_busy({waiting(0), {1, true, false, 20, 1, "micro-batch 9"}}, 600, 47));
  EXPECT_FALSE(watchdog_busy({waiting(0), {1, true, false, 700, 1, "micro-batch 9"}}, 600, 47)) << "stuck";
  EXPECT_FALSE(watchdog_busy({waiting(0), {1, true, false, 100, 99, "micro-batch 9"}}, 600, 47)) << "silent";
  EXPECT_FALSE(watchdog_busy({waiting(0), unknown(1)}, 600, 47)) << "never heard of";
  EXPECT_FALSE(watchdog_busy({waiting(0), waiting(1)}, 600, 47));
}

TEST(Phase, TellsWhatTheProcessDoes) {
  Phase::set_step(57);
  Phase::enter("micro-batch", 3);
  EXPECT_EQ(Phase::text(), "micro-batch 3 of step 57");
  EXPECT_FALSE(Phase::waiting());
  const std::uint64_t before = Phase::ticks();
  {
    const Phase::Wait wait;
    EXPECT_TRUE(Phase::waiting());
  }
  EXPECT_FALSE(Phase::waiting());
  EXPECT_GT(Phase::ticks(), before);
  Phase::set_step(0);
}

}  // namespace
