// Runs that fail from inside: numbers that are not finite, ranks that hang, damaged checkpoints, full disks and folders that are gone.
#include <gtest/gtest.h>

#include <chrono>

#include "commands/disturb.hpp"
#include "strata/base/fault.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;

TEST(NotFinite, StopsWithCode5NamingTheTensorAndLeavesTheLastCheckpoint) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  const RunFolder& folder = RunFolder::get();
  const CommandResult result =
      folder.strata(2, "train", "--run.folder=nan --checkpoint.every=2 --train.validate_every=2 --run.fault=nan:step=5:leaf=4");

  EXPECT_EQ(result.status, 5) << result.err;
  EXPECT_NE(result.err.find("step 5: loss nan"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("The first tensor that is not finite is the loss (sequence 0, token 0: element 0 is nan) of micro-batch 4"),
            std::string::npos)
      << result.err;
  EXPECT_EQ(read_file(folder / "nan" / "checkpoints" / "latest"), "step_000004.h5\n");
  EXPECT_EQ(read_file(folder / "nan" / "checkpoints" / "best"), "step_000004.h5\n");
}

TEST(NotFinite, SkippedStepsAreTheSameOnAnyRanksAndAcrossARestart) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  const std::string options = "--train.non_finite=skip --train.validate_every=0 --checkpoint.every=0 --run.fault=nan:step=4:leaf=1 ";
  run_undisturbed("skip-one", options);
  const RunFolder& folder = RunFolder::get();
  EXPECT_NE(read_file(folder / "skip-one" / "log.txt").find("The update is skipped (1 in a row, 1 in all)"), std::string::npos);
  expect_same_end("skip-three", 3, "skip-one", options, 10);
  EXPECT_EQ(folder.strata(2, "train", "--run.folder=skip-halves " + options + "--train.max_steps=4").status, 0);
  expect_same_end("skip-halves", 1, "skip-one", options, 10);
}

TEST(NotFinite, TenSkippedStepsInARowEndTheRun) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  const RunFolder& folder = RunFolder::get();
  const std::string options =
      "--run.folder=skip-all --train.non_finite=skip --train.max_steps=30 --schedule.steps=30 --train.validate_every=0 "
      "--checkpoint.every=3 ";
  ASSERT_EQ(folder.strata(1, "train", options + "--train.max_steps=3").status, 0);
  const CommandResult result = folder.strata(2, "train", options + "--run.fault=nan");

  EXPECT_EQ(result.status, 5) << result.err;
  EXPECT_NE(result.err.find("step 13: "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("This was the 10th step in a row to be skipped"), std::string::npos) << result.err;
}

TEST(NotFinite, AnAbsurdLearningRateIsTracedToItsFirstTensor) {
  const RunFolder& folder = RunFolder::get();
  const CommandResult result =
      folder.strata(2, "train", "--run.folder=absurd --optimizer.lr=1e30 --train.clip=0 --schedule.warmup_steps=0");

  EXPECT_EQ(result.status, 5) << result.err;
  EXPECT_NE(result.err.find("step 2: "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("The first tensor that is not finite is "), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("of micro-batch 0"), std::string::npos) << result.err;
}

struct Hang {
  const char* name;
  const char* fault;
  const char* message;
};
std::ostream& operator<<(std::ostream& out, const Hang& hang) {
  return out << hang.name;
}
class HangingRun : public ::testing::TestWithParam<Hang> {};

TEST_P(HangingRun, EndsWithCode6NamingRankStepAndPhase) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  const RunFolder& folder = RunFolder::get();
  const std::string run = std::string("hang-") + GetParam().name;
  const auto begin = std::chrono::steady_clock::now();
  const CommandResult result =
      folder.strata(3, "train", "--run.folder=" + run + " --parallel.timeout=6 --train.validate_every=0 --run.fault=" + GetParam().fault);

  EXPECT_EQ(result.status, 6) << result.err;
  EXPECT_NE(result.err.find(GetParam().message), std::string::npos) << result.err;
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 40 * patience())
      << "six seconds, and those of starting and ending on a busy machine";
  run_command("kill -9 " + ranks_of(run));
}

INSTANTIATE_TEST_SUITE_P(Faults, HangingRun,
                         ::testing::Values(Hang{"stopped", "stop:rank=1:at=leaf:step=3",
                                                "has not come to 'the gradient exchange of step 3': it was last heard in '"},
                                           Hang{"alive", "hang:rank=2:at=exchange:step=2", "and is alive there"},
                                           Hang{"first", "hang:rank=0:at=update:step=2", "rank 0 on host "},
                                           Hang{"save", "hang:rank=1:at=save.half:step=5", "has not come to"},
                                           Hang{"start", "stop:rank=1:at=inputs", "rank 1 on host "}),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Watchdog, ASlowRankIsWaitedFor) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  // Two micro-batches of six seconds each on one rank: the others wait longer than the limit, but the slow one gets on.
  const CommandResult result = RunFolder::get().strata(3, "train",
                                                       "--run.folder=slow --parallel.timeout=10 --train.max_steps=2 "
                                                       "--train.validate_every=0 --run.fault=slow:rank=1:at=leaf:step=2:seconds=6");
  EXPECT_EQ(result.status, 0) << result.err;
}

struct Damage {
  const char* name;
  void (*make)(const fs::path& checkpoints);  // of a folder whose newest is step 4, the one before step 2
  int step;                                   // that is resumed from
  const char* message;
};
std::ostream& operator<<(std::ostream& out, const Damage& damage) {
  return out << damage.name;
}
class NewestCheckpoint : public ::testing::TestWithParam<Damage> {};

TEST_P(NewestCheckpoint, IsPassedOverWhereItIsDamaged) {
  const RunFolder& folder = RunFolder::get();
  const std::string run = std::string("damage-") + GetParam().name, options = "--train.validate_every=0 --checkpoint.every=2 ";
  ASSERT_EQ(folder.strata(0, "train", "--run.folder=" + run + " " + options + "--train.max_steps=4").status, 0);
  GetParam().make(folder / run / "checkpoints");
  const CommandResult resumed = folder.strata(2, "train", "--run.folder=" + run + " " + options + "--train.max_steps=5");

  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("step " + std::to_string(GetParam().step) + ", written by 1 rank"), std::string::npos) << resumed.err;
  EXPECT_NE(resumed.err.find(GetParam().message), std::string::npos) << resumed.err;
}

INSTANTIATE_TEST_SUITE_P(
    Cases, NewestCheckpoint,
    ::testing::Values(Damage{"bit",
                             [](const fs::path& folder) {
                               std::string bytes = read_file(folder / "step_000004.h5");
                               bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 16);
                               write_file(folder / "step_000004.h5", bytes);
                             },
                             2, "step_000004.h5 is passed over"},
                      Damage{"cut", [](const fs::path& folder) { fs::resize_file(folder / "step_000004.h5", 100000); }, 2,
                             "step_000004.h5 is passed over"},
                      Damage{"no_latest", [](const fs::path& folder) { fs::remove(folder / "latest"); }, 4, "Resuming from"},
                      Damage{"wrong_latest", [](const fs::path& folder) { write_file(folder / "latest", "step_000044.h5\n"); }, 4,
                             "which is missing"}),
    [](const auto& one) { return std::string(one.param.name); });

// A small file system of its own, where this process may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(const std::string& size) {
    mounted_ = run_command("mount -t tmpfs -o size=" + size + " tmpfs '" + folder_.path().string() + "'").status == 0;
  }
  ~SmallDisk() {
    if (mounted_) run_command("umount -l '" + folder_.path().string() + "'");
  }
  bool mounted() const { return mounted_; }
  std::string path() const { return folder_.path().string(); }

 private:
  TemporaryFolder folder_;
  bool mounted_ = false;
};

struct Saver {
  const char *asynchronous, *strategy;
};
class FullDisk : public ::testing::TestWithParam<Saver> {};

TEST_P(FullDisk, EndsTheRunWithCode4AndLeavesTheCheckpointBefore) {
  const SmallDisk disk("16m");
  if (!disk.mounted()) GTEST_SKIP() << "this user may not mount a tmpfs";
  const std::string run = disk.path() + "/run";
  // The start has seen enough room. Once a checkpoint is there, others fill the disk, and go on as checkpoints make room.
  const std::string fill = "while kill -0 $pid 2>/dev/null; do free=$(($(df --output=avail -B1 '" + disk.path() +
                           "' | tail -1) - 300000)); test $free -gt 0 && fallocate -l $free '" + disk.path() +
                           "'/filler.$((i += 1)); sleep 0.05; done;";
  const CommandResult result = train_beside(run, 3,
                                            "--train.max_steps=1000000 --schedule.steps=1000000 --train.validate_every=0 "
                                            "--checkpoint.every=2 --checkpoint.keep=1 --checkpoint.keep_best=0 --checkpoint.asynchronous=" +
                                                std::string(GetParam().asynchronous) + " --parallel.strategy=" + GetParam().strategy,
                                            wait_until("test -e '" + run + "/checkpoints/latest'") + fill);

  EXPECT_EQ(result.status, 4) << result.err;
  EXPECT_NE(result.err.find(".h5.tmp"), std::string::npos) << result.err;
  const fs::path checkpoints = fs::path(disk.path()) / "run" / "checkpoints";
  for (const auto& entry : fs::directory_iterator(checkpoints)) EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  const CommandResult inspected = run_command("'" + binary() + "' inspect '" + checkpoints.string() + "' --verify");
  EXPECT_EQ(inspected.status, 0) << inspected.out << inspected.err;
}

INSTANTIATE_TEST_SUITE_P(Saves, FullDisk, ::testing::Values(Saver{"true", "ddp"}, Saver{"false", "zero2"}, Saver{"true", "fsdp"}),
                         [](const auto& one) { return std::string(one.param.strategy) + "_" + one.param.asynchronous; });

TEST(Folder, AReadOnlyOneIsRefusedAtTheStart) {
  const SmallDisk disk("5m");
  if (!disk.mounted() || run_command("mount -o remount,ro '" + disk.path() + "'").status != 0)
    GTEST_SKIP() << "this user may not mount a tmpfs";
  const CommandResult result = RunFolder::get().strata(2, "train", "--run.folder=" + disk.path() + "/run");
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_NE(result.err.find("cannot make the folder " + disk.path() + "/run"), std::string::npos) << result.err;
}

TEST(Folder, OneThatVanishesOrBecomesReadOnlyEndsTheRunWithCode3) {
  const RunFolder& folder = RunFolder::get();
  const std::string endless = "--train.max_steps=1000000 --schedule.steps=1000000 --train.validate_every=0 --checkpoint.every=50";
  const std::string gone = (folder / "gone").string();
  const CommandResult vanished =
      train_beside("gone", 2, endless, wait_until("grep -qs 'Step 2/' '" + gone + "/log.txt'") + "mv '" + gone + "' '" + gone + ".moved';");
  EXPECT_EQ(vanished.status, 3) << vanished.err;
  EXPECT_NE(vanished.err.find("gone/metrics.csv"), std::string::npos) << vanished.err;

  const SmallDisk disk("40m");
  if (!disk.mounted()) GTEST_SKIP() << "this user may not mount a tmpfs";
  // Files that are open for writing keep a file system from becoming read-only, so the run is in a folder that another is mounted over.
  const std::string run = disk.path() + "/run";
  const CommandResult read_only =
      train_beside(run, 2, endless, wait_until("grep -qs 'Step 2/' '" + run + "/log.txt'") + "mount -t tmpfs -o ro tmpfs '" + run + "';");
  run_command("umount -l '" + run + "'");
  EXPECT_EQ(read_only.status, 3) << read_only.err;
  EXPECT_NE(read_only.err.find("metrics.csv"), std::string::npos) << read_only.err;
}

}  // namespace
}  // namespace strata::test
