// Collectives and the guard, on several ranks.
#include <gtest/gtest.h>

#include "comm/while_waiting.hpp"
#include "strata/base/error.hpp"
#include "strata/comm/communicator.hpp"

namespace strata {
namespace {

TEST(Communicator, GathersInOrderOfRanks) {
  const auto comm = make_mpi_communicator();
  const std::string mine(static_cast<std::size_t>(comm->rank() + 1), static_cast<char>('a' + comm->rank()));

  const auto texts = all_gather_text(*comm, mine);

  ASSERT_EQ(texts.size(), static_cast<std::size_t>(comm->size()));
  for (int r = 0; r < comm->size(); ++r)
    EXPECT_EQ(texts[static_cast<std::size_t>(r)], std::string(static_cast<std::size_t>(r + 1), static_cast<char>('a' + r)));
}

TEST(Communicator, ExchangePairsMessagesInOrder) {
  const auto comm = make_mpi_communicator();
  const int n = comm->size();
  std::vector<int> out(static_cast<std::size_t>(2 * n)), in(out.size(), -1);
  std::vector<Message> sends, receives;
  for (int r = 0; r < n; ++r)
    for (int k = 0; k < 2; ++k) {
      const auto at = static_cast<std::size_t>(2 * r + k);
      out[at] = 1000 * comm->rank() + 10 * r + k;
      sends.push_back({r, &out[at], sizeof(int)});
      receives.push_back({r, &in[at], sizeof(int)});
    }

  comm->exchange(sends, receives);

  for (int r = 0; r < n; ++r)
    for (int k = 0; k < 2; ++k) EXPECT_EQ(in[static_cast<std::size_t>(2 * r + k)], 1000 * r + 10 * comm->rank() + k);
}

TEST(Communicator, ReducesWholeNumbers) {
  const auto comm = make_mpi_communicator();
  const std::int64_t n = comm->size();
  EXPECT_EQ(comm->all_sum(comm->rank() + 1), n * (n + 1) / 2);
  EXPECT_EQ(comm->all_max(comm->rank()), n - 1);
  EXPECT_EQ(comm->all_min(-comm->rank()), 1 - n);
}

// Ranks begin the same sums in the same order, but one begins the second before a call that the others come to first. In that call ranks
// move something on, as they do where GPUs' transfers are under way.
TEST(Communicator, ReduceScattersBeginBeforeOrAfterOtherCalls) {
  const auto comm = make_mpi_communicator();
  const int n = comm->size(), rank = comm->rank();
  const WhileWaiting something([] {});
  const auto sum = [&](std::vector<double>& all, std::vector<double>& mine) {
    return comm->begin_reduce_scatter_fast(all.data(), std::vector<std::size_t>(static_cast<std::size_t>(n), mine.size()), mine.data());
  };
  for (int round = 0; round < 20; ++round) {
    const double one = round + rank, other = 100 * rank;
    std::vector<double> large(static_cast<std::size_t>(9000 * n), one), small(static_cast<std::size_t>(3000 * n), other);
    std::vector<double> of_large(9000, -1), of_small(3000, -1);
    const auto first = sum(large, of_large);
    std::unique_ptr<Transfer> second;
    if ((rank + round) % 2 == 0) second = sum(small, of_small);
    EXPECT_EQ(comm->all_max(rank + round), n - 1 + round);
    if (!second) second = sum(small, of_small);
    first->wait(), second->wait();
    EXPECT_EQ(of_large, std::vector<double>(9000, n * round + n * (n - 1) / 2.0));
    EXPECT_EQ(of_small, std::vector<double>(3000, 100 * n * (n - 1) / 2.0));
  }
}

TEST(Guarded, OneFailureIsEveryonesWithTheRankNamed) {
  const auto comm = make_mpi_communicator();
  const int culprit = comm->size() - 1;
  try {
    guarded(*comm, [&] {
      if (comm->rank() == culprit) throw DataError("the file is gone");
    });
    FAIL() << "guarded() did not throw";
  } catch (const DataError& e) {
    EXPECT_TRUE(e.on_all_ranks());
    EXPECT_NE(std::string(e.what()).find("the file is gone"), std::string::npos);
    EXPECT_EQ(std::string(e.what()).find(text("rank ", culprit)) != std::string::npos, comm->size() > 1) << e.what();
  }
}

TEST(Guarded, FailureOfAllNamesNoRank) {
  const auto comm = make_mpi_communicator();
  try {
    guarded(*comm, [] { throw DeckError("a bad key"); });
    FAIL() << "guarded() did not throw";
  } catch (const DeckError& e) {
    EXPECT_STREQ(e.what(), "a bad key");
  }
}

TEST(Guarded, SuccessReturns) {
  const auto comm = make_mpi_communicator();
  int calls = 0;
  guarded(*comm, [&] { ++calls; });
  EXPECT_EQ(calls, 1);
}

TEST(Plan, HasSizesAndWaitsForNobody) {
  const auto plan = make_plan_communicator(10, 4);
  EXPECT_EQ(plan->size(), 10);
  EXPECT_EQ(plan->rank(), 0);
  EXPECT_EQ(plan->local_size(), 4);
  EXPECT_EQ(plan->host_of(3), plan->host());
  EXPECT_NE(plan->host_of(4), plan->host());
  plan->barrier();
  EXPECT_EQ(plan->all_sum(7), 7);
  int value = 3;
  const Message message{1, &value, sizeof value};
  EXPECT_TRUE(plan->begin_exchange({&message, 1}, {&message, 1}, Channel::sums)->done());
  EXPECT_EQ(value, 3);
  const auto group = plan->subgroup({0, 2, 4, 6});
  EXPECT_EQ(group->size(), 4);
  EXPECT_EQ(group->local_size(), 2);
  EXPECT_THROW(make_plan_communicator(2, 3), InternalError);
}

TEST(Traffic, IsCountedAlikeByRanksThatAreThereAndPlannedOnes) {
  const auto real = make_mpi_communicator();
  const auto plan = make_plan_communicator(real->size(), real->local_size());
  const int others = real->size() - 1, next = (real->rank() + 1) % real->size(), last = (real->rank() + others) % real->size();
  std::vector<char> from(100), to(100), all(static_cast<std::size_t>(real->size()) * 8);
  std::vector<double> sum(6);
  for (Communicator* comm : {real.get(), plan.get()}) {
    const Message send{next, from.data(), 100}, receive{last, to.data(), 100};
    if (others > 0) comm->begin_exchange({&send, 1}, {&receive, 1}, Channel::gradients)->wait();
    comm->exchange({&send, 1}, {&receive, 1});
    comm->all_gather(from.data(), 8, all.data());
    comm->all_sum(1);
    comm->all_reduce_sum_fast(sum.data(), sum.size());
    comm->broadcast(from.data(), 50, 0);
    comm->barrier();
  }
  const Traffic& t = real->traffic();
  EXPECT_EQ(t[Call::gradients].sent.all(), others > 0 ? 100 : 0);
  EXPECT_EQ(t[Call::exchange].calls, 1);
  EXPECT_EQ(t[Call::gather].received.host, 8 * others);
  EXPECT_EQ(t[Call::broadcast].sent.host, real->rank() == 0 ? 50 * others : 0);
  EXPECT_EQ(t[Call::barrier].calls, 1);
  EXPECT_EQ(t[Call::fast_reduce].sent.all(), 2 * 48 * others / real->size());
  EXPECT_TRUE(real->rank() != 0 || t == plan->traffic());
  // Groups are counted with those they are made of.
  const Traffic before = real->traffic();
  real->subgroup({real->rank()})->all_sum(1);
  EXPECT_EQ(real->traffic().since(before)[Call::reduce].calls, 1);
}

TEST(Traffic, TellsHostsApart) {
  const auto plan = make_plan_communicator(6, 2);
  std::vector<char> data(6);
  plan->all_gather(data.data(), 1, data.data());
  EXPECT_EQ(plan->traffic()[Call::gather].received.host, 1);
  EXPECT_EQ(plan->traffic()[Call::gather].received.network, 4);
  plan->subgroup({0, 2, 4})->all_gather(data.data(), 1, data.data());
  EXPECT_EQ(plan->traffic()[Call::gather].received.network, 6);
}

}  // namespace
}  // namespace strata
