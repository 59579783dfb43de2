// What a run leaves for people and tools: the profile; and what measure finds.
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "commands/run_fixture.hpp"
#include "strata/deck/machine_file.hpp"

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

TEST(Profile, FloorsComeFromTheMachineFileThatIsNamed) {
  const RunFolder& folder = RunFolder::get();
  write_file(folder / "machine.in",
             "[machine]\ncores = 1000000\n[compute]\nfp32 = 7e9\nbf16 = 8e9\nfp64 = 9e9\n[memory]\nread = 3e9\ncopy = 5e9\ntriad = 4e9\n");
  const std::string options = "--run.folder=named --run.profile=true --device.threads=1 --train.max_steps=2 --plan.machine=";
  const CommandResult named = folder.strata(0, "train", options + "machine.in");
  ASSERT_EQ(named.status, 0) << named.err;
  EXPECT_NE(named.err.find("floors from 7000.0 GFLOP/s and 5000.0 GB/s per rank (machine.in)"), std::string::npos) << named.err;

  const CommandResult gone = folder.strata(0, "train", options + "gone.in");
  EXPECT_EQ(gone.status, 2);
  EXPECT_NE(gone.err.find("gone.in"), std::string::npos) << gone.err;
}

TEST(Measure, WritesAMachineFileThatTheProfileReads) {
  const RunFolder& folder = RunFolder::get();
  for (const int ranks : {0, 2}) {
    const CommandResult result = folder.strata(ranks, "measure", "--measure.seconds=0.2 --measure.output=m/here.in --json");
    ASSERT_EQ(result.status, 0) << result.err;

    const auto json = nlohmann::json::parse(result.out);
    const Machine m = read_machine_file(folder / "m" / "here.in");
    EXPECT_GT(m.cores, 0);
    EXPECT_GT(m.memory_bytes, 0);
    for (const double value : {m.fp32_gflops, m.bf16_gflops, m.fp64_gflops, m.read_gbs, m.copy_gbs, m.triad_gbs, m.pool_us,
                               m.disk_write_gbs, m.disk_read_gbs, m.clock_mhz, m.loaded_clock_mhz})
      EXPECT_GT(value, 0);
    EXPECT_GE(m.products.size(), 10U);
    EXPECT_NEAR(json.at("fp32_gflops").get<double>(), m.fp32_gflops, 1e-4 * m.fp32_gflops);
    EXPECT_EQ(json.at("links").size(), ranks == 2 ? 1U : 0U);
    EXPECT_EQ(m.host_gbs > 0, ranks == 2);
    EXPECT_EQ(m.gather_ranks, ranks);
    EXPECT_EQ(m.network_gbs, 0);
  }
}

TEST(Measure, AFolderThatCannotBeWrittenEndsAllRanks) {
  const CommandResult result =
      RunFolder::get().strata(2, "measure", "--measure.seconds=0.1 --measure.folder=/proc/strata --measure.output=m/no.in");
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_NE(result.err.find("/proc/strata"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace strata::test
