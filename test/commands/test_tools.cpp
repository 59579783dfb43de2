// What a run leaves for people and tools: the profile.
#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "commands/run_fixture.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;

// ms per step by row of a profile.csv.
std::map<std::string, double> profile_of(const fs::path& file) {
  std::map<std::string, double> result;
  std::istringstream rows(read_file(file));
  std::string row;
  std::getline(rows, row);
  while (std::getline(rows, row)) {
    std::istringstream cells(row);
    std::string name, calls, milliseconds;
    std::getline(cells, name, '"'), std::getline(cells, name, '"'), cells.ignore(1);
    std::getline(cells, calls, ','), std::getline(cells, milliseconds, ',');
    result[name] = std::stod(milliseconds);
  }
  return result;
}

TEST(Profile, NamesOpsAndPhasesAndChangesNothing) {
  const RunFolder& folder = RunFolder::get();
  const CommandResult profiled = folder.strata(2, "train", "--run.folder=profiled --run.profile=true");
  ASSERT_EQ(profiled.status, 0) << profiled.err;
  const CommandResult plain = folder.strata(0, "train", "--run.folder=plain");
  ASSERT_EQ(plain.status, 0) << plain.err;

  EXPECT_EQ(checkpoint_difference(folder.checkpoint("profiled", 10), folder.checkpoint("plain", 10)), "");
  EXPECT_NE(profiled.err.find("Profile of 9 steps"), std::string::npos) << profiled.err;
  EXPECT_EQ(plain.err.find("Profile of"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "plain" / "profile.csv"));
  EXPECT_NE(read_file(folder / "profiled" / "plan.txt").find("Profile of 9 steps"), std::string::npos);
  EXPECT_NE(read_file(folder / "profiled" / "log.txt").find("x floor"), std::string::npos);
  const auto rows = profile_of(folder / "profiled" / "profile.csv");
  for (const char* name : {"linear_forward", "attention_backward", "adamw_update", "validation", "gradient exchange", "waiting for data",
                           "checkpoint", "not in an op"})
    EXPECT_TRUE(rows.count(name) && rows.at(name) > 0) << name;
}

}  // namespace
}  // namespace strata::test
