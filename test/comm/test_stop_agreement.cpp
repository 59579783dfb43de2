// The wish of one rank to stop: it reaches the others without their waiting, and all decide alike.
#include <gtest/gtest.h>

#include "strata/comm/stop_agreement.hpp"

namespace strata {
namespace {

TEST(StopAgreement, NobodyWishesNobodyStops) {
  const auto comm = make_mpi_communicator();
  StopAgreement stop(*comm);
  for (int step = 0; step < 50; ++step) {
    for (int leaf = 0; leaf < comm->rank() * 3; ++leaf) EXPECT_EQ(stop.look(0), 0);  // ranks look differently often, rank 0 never
    EXPECT_EQ(stop.decide(0), 0);
  }
}

TEST(StopAgreement, AWishOfOneRankReachesTheOthersWhileTheyWork) {
  const auto comm = make_mpi_communicator();
  for (int wisher = 0; wisher < comm->size(); ++wisher) {
    StopAgreement stop(*comm);
    // The others work on until they hear of it: without the news they would look for ever.
    while (stop.look(comm->rank() == wisher ? 10 : 0) == 0) {
    }
    EXPECT_EQ(stop.decide(0), 10) << "wish of rank " << wisher;
  }
}

TEST(StopAgreement, RankZeroPassesOnWhileItWaits) {
  const auto comm = make_mpi_communicator();
  StopAgreement stop(*comm);
  if (comm->rank() != 0)
    while (stop.look(comm->rank() == comm->size() - 1 ? 12 : 0) == 0) {
    }
  EXPECT_EQ(stop.decide(comm->size() == 1 ? 12 : 0), 12);  // rank 0 had nothing to do from the beginning
}

TEST(StopAgreement, WishesOfAllAtOnceAreOneDecisionAndLeaveNoMessage) {
  const auto comm = make_mpi_communicator();
  for (int round = 0; round < 20; ++round) {
    StopAgreement stop(*comm);
    if (comm->rank() % 2 == round % 2) stop.look(10 + comm->rank());
    EXPECT_GE(stop.decide(5), 5);
    comm->barrier();
    EXPECT_FALSE(comm->heard().has_value());
    comm->barrier();  // nobody begins the next round before all have looked
  }
}

}  // namespace
}  // namespace strata
