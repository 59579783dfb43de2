// The profile: rows of all ranks together, floors, order, table and CSV.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "strata/train/profile.hpp"

namespace strata {
namespace {

// Over 4 steps: a product at half the peak, a copy at a quarter of the bandwidth, and a wait.
ProfileRows rows_of(int rank) {
  ProfileRows rows;
  rows["linear_forward"] = {40, 4e9, 1e6, 0.8 + 0.4 * rank};
  rows["fill"] = {4, 0, 4e8, 0.16};
  rows["waiting for data"] = {4, 0, 0, 0.04};
  return rows;
}

TEST(Profile, MeansOverRanksPerStepAndTheWorstFirst) {
  const auto world = make_mpi_communicator();
  Communicator& comm = *world;
  const Profile p = gather_profile(comm, rows_of(comm.rank()), 4, {1e10, 1e10, "a test"});

  ASSERT_EQ(p.lines.size(), 3U);
  const double mean_rank = (comm.size() - 1) / 2.0;
  EXPECT_EQ(p.lines[0].name, "linear_forward");
  EXPECT_EQ(p.lines[0].calls, 10);
  EXPECT_NEAR(p.lines[0].seconds, 0.2 + 0.1 * mean_rank, 1e-12);
  EXPECT_NEAR(p.lines[0].floor, 0.1, 1e-12);
  EXPECT_EQ(p.lines[0].slowest_rank, comm.size() - 1);
  EXPECT_NEAR(p.lines[0].slowest, 0.2 + 0.1 * (comm.size() - 1), 1e-12);
  EXPECT_EQ(p.lines[1].name, "fill");
  EXPECT_NEAR(p.lines[1].floor, 0.01, 1e-12);
  EXPECT_EQ(p.lines[2].floor, 0);
  double sum = 0, share = 0;
  for (const ProfileLine& line : p.lines) sum += line.seconds, share += line.share;
  EXPECT_NEAR(sum, p.step_seconds, 1e-12);
  EXPECT_NEAR(share, 1, 1e-12);
}

TEST(Profile, TableAndCsvSayTheSame) {
  const auto world = make_mpi_communicator();
  Communicator& comm = *world;
  const Profile p = gather_profile(comm, rows_of(comm.rank()), 4, {1e10, 1e10, "a test"});

  const std::string table = profile_table(p);
  EXPECT_NE(table.find("Profile of 4 steps"), std::string::npos) << table;
  EXPECT_NE(table.find("10.0 GFLOP/s and 10.0 GB/s per rank (a test)"), std::string::npos) << table;
  EXPECT_LT(table.find("linear_forward"), table.find("fill"));
  EXPECT_EQ(table.find("slowest rank") != std::string::npos, comm.size() > 1);

  std::istringstream rows(profile_csv(p));
  std::string row;
  std::getline(rows, row);
  EXPECT_EQ(row, "op,calls_per_step,ms_per_step,share,gflops_per_s,gbytes_per_s,floor_ms,time_over_floor,slowest_ms,slowest_rank");
  std::getline(rows, row);
  if (comm.size() == 1) {
    EXPECT_EQ(row, "\"linear_forward\",10,200,0.8,5,0.00125,100,2,200,0");
  }
  std::getline(rows, row);
  std::getline(rows, row);
  EXPECT_EQ(std::count(row.begin(), row.end(), ','), 9) << row;
}

}  // namespace
}  // namespace strata
