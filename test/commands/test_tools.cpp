// What a run leaves for people and tools: the profile, event files, what inspect says; and what measure finds.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
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

TEST(DeviceLog, HasALineForThisHostAtTheEndAndGrowsWithTheNextLaunch) {
  const RunFolder& folder = RunFolder::get();
  ASSERT_EQ(folder.strata(2, "train", "--run.folder=used --train.max_steps=2").status, 0);
  ASSERT_EQ(folder.strata(0, "train", "--run.folder=used --train.max_steps=4").status, 0);
  std::istringstream lines(read_file(folder / "used/device_use.csv"));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "time,host,device,busy_percent,memory_used_bytes,memory_total_bytes");
  int count = 0;
  for (; std::getline(lines, line); ++count) {
    EXPECT_NE(line.find(",cpu,"), std::string::npos) << line;
    EXPECT_EQ(std::count(line.begin(), line.end(), ','), 5) << line;
  }
  EXPECT_GE(count, 2);
  ASSERT_EQ(folder.strata(0, "train", "--run.folder=unused --train.max_steps=2 --run.device_log=0").status, 0);
  EXPECT_FALSE(fs::exists(folder / "unused/device_use.csv"));
}

// The interpreter that has TensorBoard; empty: there is none.
std::string tensorboard_python() {
  const char* named = std::getenv("STRATA_TEST_PYTHON");
  const std::string python = named ? named : "python3";
  return run_command("'" + python + "' -c 'import tensorboard.backend.event_processing.event_accumulator'").status == 0 ? python : "";
}

// "tag step" -> value, as the real TensorBoard reads a run's folder.
std::map<std::string, double> tensorboard_values(const std::string& python, const fs::path& folder) {
  const CommandResult read =
      run_command("'" + python + "' '" + (source_dir() / "test/tools/read_events.py").string() + "' '" + folder.string() + "'");
  EXPECT_EQ(read.status, 0) << read.err;
  std::map<std::string, double> values;
  std::istringstream lines(read.out);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t cut = line.rfind(' ');
    EXPECT_TRUE(values.emplace(line.substr(0, cut), std::stod(line.substr(cut))).second) << "twice: " << line;
  }
  return values;
}

TEST(Events, TensorBoardReadsWhatMetricsSayAlsoAfterARestartThatGoesBack) {
  const std::string python = tensorboard_python();
  if (python.empty()) GTEST_SKIP() << "no TensorBoard: pip install tensorboard, or name its interpreter in STRATA_TEST_PYTHON";
  const RunFolder& folder = RunFolder::get();
  ASSERT_EQ(folder.strata(0, "train", "--run.folder=events").status, 0);
  // The run goes back to step 5, so that steps 6 to 10 are there twice.
  fs::remove(folder.checkpoint("events", 10));
  const CommandResult again = folder.strata(2, "train", "--run.folder=events");
  ASSERT_EQ(again.status, 0) << again.err;

  const auto values = tensorboard_values(python, folder / "events");
  std::istringstream rows(read_file(folder / "events" / "metrics.csv"));
  std::string row;
  std::getline(rows, row);
  int steps = 0;
  for (; std::getline(rows, row); ++steps) {
    std::vector<std::string> cells(1);
    for (const char c : row) c == ',' ? (void)cells.emplace_back() : cells.back().push_back(c);
    EXPECT_EQ(values.at("train/loss " + cells[0]), static_cast<double>(std::stof(cells[3])));
    EXPECT_EQ(values.at("train/lr " + cells[0]), static_cast<double>(std::stof(cells[5])));
    EXPECT_EQ(values.count("validation/loss " + cells[0]), cells[6].empty() ? 0U : 1U);
    for (const char* tag : {"train/grad_norm ", "train/epoch ", "train/tokens_per_s ", "memory/peak_bytes "})
      EXPECT_EQ(values.count(tag + cells[0]), 1U) << tag << cells[0];
  }
  EXPECT_EQ(steps, 10);
  EXPECT_EQ(values.count("text effective_deck 1"), 1U);
}

CommandResult inspect(const fs::path& path, const std::string& options = "") {
  return run_command("'" + binary() + "' inspect '" + path.string() + "' " + options);
}

TEST(Inspect, ARunSaysItsStateItsCheckpointsAndTheNewest) {
  const RunFolder& folder = RunFolder::get();
  ASSERT_EQ(folder.strata(0, "train", "--run.folder=told").status, 0);

  const CommandResult words = inspect(folder / "told", "--verify");
  EXPECT_EQ(words.status, 0) << words.err;
  for (const char* part : {"state                   finished", "last said", "step_000005.h5", "step_000010.h5", "latest", "best", "qwen3",
                           "optimizer.lr = 0.003", "every checksum agrees, of 2 checkpoints"})
    EXPECT_NE(words.out.find(part), std::string::npos) << part << "\n" << words.out;
  const auto json = nlohmann::json::parse(inspect(folder / "told", "--json --verify").out);
  EXPECT_EQ(json.at("step"), 10);
  EXPECT_EQ(json.at("checkpoints").size(), 2U);
  EXPECT_EQ(json.at("latest"), "step_000010.h5");
  EXPECT_EQ(json.at("run").at("last_step"), 10);
  EXPECT_EQ(json.at("verified").at("sound"), true);
  EXPECT_FALSE(json.at("tensors").empty());
  // The folder of checkpoints alone says the same of them.
  const auto alone = nlohmann::json::parse(inspect(folder / "told" / "checkpoints", "--json").out);
  EXPECT_EQ(alone.at("checkpoints"), json.at("checkpoints"));
  EXPECT_EQ(alone.count("run"), 0U);

  // Another process holds the lock of a run at work.
  write_file(folder / "told" / "lock", "host = here\npid = 1\n");
  const int descriptor = ::open((folder / "told" / "lock").c_str(), O_RDWR | O_CLOEXEC);
  struct flock lock {};
  lock.l_type = F_WRLCK, lock.l_whence = SEEK_SET;
  ASSERT_EQ(::fcntl(descriptor, F_SETLK, &lock), 0);
  const std::string at_work = inspect(folder / "told").out;
  ::close(descriptor);
  EXPECT_NE(at_work.find("at work (another process holds its lock)"), std::string::npos) << at_work;
  EXPECT_NE(at_work.find("host = here, pid = 1"), std::string::npos) << at_work;
  EXPECT_NE(inspect(folder / "told").out.find("state                   finished"), std::string::npos);

  // A damaged newest one: named, with exit code 3, and the one before is described.
  const fs::path newest = folder.checkpoint("told", 10);
  fs::resize_file(newest, fs::file_size(newest) / 2);
  const CommandResult damaged = inspect(folder / "told", "--verify");
  EXPECT_EQ(damaged.status, 3);
  EXPECT_NE(damaged.out.find("step_000010.h5  NOT READABLE"), std::string::npos) << damaged.out;
  EXPECT_NE(damaged.err.find("step_000010.h5"), std::string::npos) << damaged.err;
  EXPECT_EQ(nlohmann::json::parse(inspect(folder / "told", "--json").out).at("step"), 5);
  fs::remove(newest);
  const CommandResult missing = inspect(folder / "told", "--verify");
  EXPECT_EQ(missing.status, 3);
  EXPECT_NE(missing.err.find("latest names step_000010.h5, which is not there"), std::string::npos) << missing.err;
}

TEST(Inspect, ATokenFileSaysWhereItComesFrom) {
  const CommandResult words = inspect(RunFolder::get() / "train.h5", "--verify");
  EXPECT_EQ(words.status, 0);
  for (const char* part : {"tokens", "documents", "sentencepiece", "text.txt", "every checksum agrees"})
    EXPECT_NE(words.out.find(part), std::string::npos) << part << "\n" << words.out;
  EXPECT_EQ(nlohmann::json::parse(inspect(RunFolder::get() / "train.h5", "--json").out).at("kind"), "tokens");
}

TEST(Inspect, AModelFolderIsComparedWithItsConfiguration) {
  const RunFolder& folder = RunFolder::get();
  ASSERT_EQ(folder.strata(0, "train", "--run.folder=model-run --train.max_steps=2").status, 0);
  ASSERT_EQ(folder.strata(0, "convert", "--convert.from=model-run/checkpoints --convert.to=model").status, 0);

  const CommandResult words = inspect(folder / "model", "--verify");
  EXPECT_EQ(words.status, 0) << words.err;
  for (const char* part :
       {"qwen3, 2 layers, hidden size 48, vocabulary 320", "head tied", "tokenizer.model", "bf16",
        "model.layers.*.mlp.up_proj.weight  bf16 [112, 48]  x 2", "XXH3-128", "names, shapes and types are those of config.json"})
    EXPECT_NE(words.out.find(part), std::string::npos) << part << "\n" << words.out;
  const auto json = nlohmann::json::parse(inspect(folder / "model" / "model.safetensors", "--json").out);
  EXPECT_EQ(json.at("kind"), "safetensors");
  EXPECT_EQ(json.at("tensors").at("model.norm.weight").at("shape")[0], 48);

  const std::string config = read_file(folder / "model" / "config.json");
  std::string other = config;
  other.replace(other.find("112"), 3, "128");
  write_file(folder / "model" / "config.json", other);
  const CommandResult wrong = inspect(folder / "model", "--verify");
  EXPECT_EQ(wrong.status, 3);
  EXPECT_NE(wrong.err.find("mlp"), std::string::npos) << wrong.err;
  other.replace(other.find("qwen3"), 5, "gpt99");
  write_file(folder / "model" / "config.json", other);
  EXPECT_NE(inspect(folder / "model").out.find("gpt99, not one Strata computes"), std::string::npos);
  write_file(folder / "model" / "config.json", config);
}

TEST(Inspect, WhatItDoesNotKnowIsRefusedWithWhatItExpects) {
  const RunFolder& folder = RunFolder::get();
  for (const char* name : {"text.txt", "gone", ""}) {
    fs::create_directories(folder / "empty");
    const CommandResult result = inspect(*name ? folder / name : folder / "empty");
    EXPECT_EQ(result.status, 3) << name;
    EXPECT_NE(result.err.find(*name ? name : "a run's folder"), std::string::npos) << result.err;
  }
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
