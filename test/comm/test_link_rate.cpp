// Rates of links: pairs, positive numbers, the same on every rank.
#include <gtest/gtest.h>

#include "strata/comm/link_rate.hpp"

namespace strata {
namespace {

TEST(LinkRate, NeighboursArePositiveAndEqualOnAllRanks) {
  const auto comm = make_mpi_communicator();
  const std::vector<LinkRate> links = link_rates(*comm, 64);

  ASSERT_EQ(links.size(), static_cast<std::size_t>(comm->size() - 1));
  std::string mine;
  for (std::size_t i = 0; i < links.size(); ++i) {
    EXPECT_EQ(links[i].from, static_cast<int>(i));
    EXPECT_EQ(links[i].to, links[i].from + 1);
    EXPECT_TRUE(links[i].same_host);
    EXPECT_GT(links[i].latency, 0);
    EXPECT_GT(links[i].bandwidth, 0);
    mine += std::to_string(links[i].latency) + " " + std::to_string(links[i].bandwidth) + "\n";
  }
  for (const std::string& other : all_gather_text(*comm, mine)) EXPECT_EQ(other, mine);
}

TEST(LinkRate, AtMostSoManyPairs) {
  const auto comm = make_mpi_communicator();
  EXPECT_LE(link_rates(*comm, 1).size(), 1U);
}

TEST(GatherRate, IsPositiveWithSeveralRanksOnly) {
  const auto comm = make_mpi_communicator();
  EXPECT_EQ(gather_rate(*comm, 1 << 16) > 0, comm->size() > 1);
}

}  // namespace
}  // namespace strata
