// Runs that are disturbed: signals, killed ranks, kills in every phase of a save, and what the next start makes of them.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "commands/run_fixture.hpp"
#include "strata/base/fault.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;

// Steps of 60 micro-batches; without validation, and with a checkpoint at the end only.
const std::string many_leaves = "--batch.global=60 --batch.micro=1 --train.max_steps=3 --schedule.steps=3 --train.validate_every=0 ";

// What a shell has to wait for, until it is true or half a minute has gone.
std::string wait_until(const std::string& condition) {
  return "for i in $(seq 1500); do " + condition + " && break; sleep 0.02; done; ";
}

// Runs `train` on `ranks` ranks (0: without mpirun) in the background of a shell, which goes on with `script`; $pid is the run.
CommandResult train_beside(const std::string& run, int ranks, const std::string& options, const std::string& script) {
  const std::string launcher = ranks ? "mpirun --oversubscribe --bind-to none -n " + std::to_string(ranks) + " " : "";
  return run_command("cd '" + (RunFolder::get() / "").string() + "' && { " + launcher + "'" + binary() +
                     "' train test.in --run.folder=" + run + " " + options + " & pid=$!; " + script + " wait $pid; }");
}

// The rank processes of a run, that are neither its launcher nor its shell.
std::string ranks_of(const std::string& run) {
  return "$(pgrep -x strata | while read p; do grep -qsz -- '--run.folder=" + run + "' /proc/$p/cmdline && echo $p; done)";
}

struct Interrupted {
  CommandResult result;
  double seconds = 0;  // from the signal to the end
};

// Each micro-batch of the second step takes a fifth of a second; the signal comes in the middle.
Interrupted interrupt(const std::string& run, int ranks, const std::string& target) {
  const RunFolder& folder = RunFolder::get();
  const std::string log = (folder / run / "log.txt").string(), stamp = (folder / (run + ".stamp")).string();
  Interrupted i;
  i.result = train_beside(run, ranks, many_leaves + "--run.fault=slow:at=leaf:step=2:seconds=0.2",
                          wait_until("grep -qs 'Step 1/' '" + log + "'") + "sleep 0.5; touch '" + stamp + "'; kill -USR1 " + target + ";");
  i.seconds = std::chrono::duration<double>(fs::file_time_type::clock::now() - fs::last_write_time(stamp)).count();
  return i;
}

void expect_same_end(const std::string& run, int ranks, const std::string& undisturbed, const std::string& options, int step) {
  const RunFolder& folder = RunFolder::get();
  const CommandResult resumed = folder.strata(ranks, "train", "--run.folder=" + run + " " + options);
  ASSERT_EQ(resumed.status, 0) << run << "\n" << resumed.err;
  EXPECT_EQ(checkpoint_difference(folder.checkpoint(undisturbed, step), folder.checkpoint(run, step)), "") << run;
  EXPECT_EQ(lasting_metrics(folder / undisturbed / "metrics.csv"), lasting_metrics(folder / run / "metrics.csv")) << run;
}

void run_undisturbed(const std::string& run, const std::string& options) {
  const CommandResult result = RunFolder::get().strata(1, "train", "--run.folder=" + run + " " + options);
  ASSERT_EQ(result.status, 0) << result.err;
}

TEST(Signal, EndsTheRunAtTheNextMicroBatchOnAnyRanks) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  run_undisturbed("signal-none", many_leaves);
  for (const int ranks : {0, 2, 3}) {
    const std::string run = "signal-" + std::to_string(ranks);
    const Interrupted i = interrupt(run, ranks, "$pid");

    EXPECT_EQ(i.result.status, 75) << i.result.err;
    EXPECT_NE(i.result.err.find("Received SIGUSR1 in step 2, which is dropped: saving step 1"), std::string::npos) << i.result.err;
    EXPECT_LT(i.seconds, 3.5) << "the step had at least four seconds to go";
    EXPECT_TRUE(fs::exists(RunFolder::get().checkpoint(run, 1)));
    EXPECT_FALSE(fs::exists(RunFolder::get().checkpoint(run, 2)));
    expect_same_end(run, ranks == 2 ? 3 : 2, "signal-none", many_leaves, 3);
  }
}

TEST(Signal, ToOneRankOnlyIsHeardByTheOthersAtTheirNextMicroBatch) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  const Interrupted i = interrupt("signal-one-rank", 2, "$(echo " + ranks_of("signal-one-rank") + " | tr ' ' '\\n' | tail -n 1)");

  EXPECT_EQ(i.result.status, 75) << i.result.err;
  EXPECT_NE(i.result.err.find("saving step 1"), std::string::npos) << i.result.err;
  EXPECT_LT(i.seconds, 4) << "each rank had more than five seconds of its step to go";
}

TEST(Signal, ASecondOneDuringTheSaveChangesNothing) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  const RunFolder& folder = RunFolder::get();
  const std::string more = "--train.max_steps=2000 --schedule.steps=2000 --train.validate_every=0 --checkpoint.every=0 ";
  const CommandResult result =
      train_beside("signal-twice", 2, more + "--run.fault=slow:at=save.half:seconds=1",
                   wait_until("grep -qs 'Step 3/' '" + (folder / "signal-twice" / "log.txt").string() + "'") + "kill -USR1 $pid; " +
                       wait_until("ls '" + (folder / "signal-twice" / "checkpoints").string() + "' 2>/dev/null | grep -q tmp") +
                       "kill -USR1 " + ranks_of("signal-twice") + "; kill -TERM " + ranks_of("signal-twice") + ";");
  EXPECT_EQ(result.status, 75) << result.err;
  const CommandResult inspected =
      run_command("'" + binary() + "' inspect '" + (folder / "signal-twice" / "checkpoints").string() + "' --verify");
  EXPECT_EQ(inspected.status, 0) << inspected.err;
}

struct Kill {
  const char* name;
  const char* fault;
};
std::ostream& operator<<(std::ostream& out, const Kill& kill) {
  return out << kill.name;
}

class KilledRun : public ::testing::TestWithParam<Kill> {
 protected:
  static constexpr const char* steps =
      "--train.max_steps=6 --schedule.steps=6 --train.validate_every=3 --checkpoint.every=2 --checkpoint.verify=true ";
  // Whatever lies in the folder under a checkpoint's name is sound.
  static void expect_only_sound_checkpoints(const fs::path& folder) {
    for (const auto& entry : fs::directory_iterator(folder))
      if (entry.path().extension() == ".h5") {
        const CommandResult result = run_command("'" + binary() + "' inspect '" + entry.path().string() + "' --verify");
        EXPECT_EQ(result.status, 0) << entry.path() << "\n" << result.out << result.err;
      }
  }
  static void check(const std::string& run, const std::string& options, const std::string& undisturbed) {
    const RunFolder& folder = RunFolder::get();
    const CommandResult killed = folder.strata(2, "train", "--run.folder=" + run + " " + options + "--run.fault=" + GetParam().fault);
    EXPECT_EQ(killed.status, 137) << killed.err;
    const fs::path checkpoints = folder / run / "checkpoints";
    if (fs::exists(checkpoints)) expect_only_sound_checkpoints(checkpoints);
    expect_same_end(run, 3, undisturbed, options, 6);
    EXPECT_EQ(read_file(checkpoints / "latest"), "step_000006.h5\n");
    for (const auto& entry : fs::recursive_directory_iterator(folder / run)) EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  }
};

TEST_P(KilledRun, LeavesSoundCheckpointsAndGoesOnToTheSameBits) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  static const bool reference = (run_undisturbed("kill-none", steps), true);
  ASSERT_TRUE(reference);
  check(std::string("kill-") + GetParam().name, steps, "kill-none");
}

TEST_P(KilledRun, AlsoWhenItSavesWhileItTrainsOnly) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  if (std::string(GetParam().fault).find("save.") == std::string::npos) GTEST_SKIP() << "no phase of a save";
  const std::string waits = std::string(steps) + "--checkpoint.asynchronous=false ";
  static const bool reference = (run_undisturbed("kill-sync", waits), true);
  ASSERT_TRUE(reference);
  check(std::string("kill-sync-") + GetParam().name, waits, "kill-sync");
}

INSTANTIATE_TEST_SUITE_P(
    Phases, KilledRun,
    ::testing::Values(Kill{"start", "kill:rank=1:at=folder"}, Kill{"inputs", "kill:rank=0:at=inputs"},
                      Kill{"allocated", "kill:rank=1:at=allocated"}, Kill{"step", "kill:rank=1:at=leaf:step=3"},
                      Kill{"exchange", "kill:rank=0:at=exchange:step=4"}, Kill{"update", "kill:rank=1:at=update:step=5"},
                      Kill{"validation", "kill:rank=1:at=validation:step=3"}, Kill{"created", "kill:rank=0:at=save.created:step=4"},
                      Kill{"half", "kill:rank=1:at=save.half:step=4"}, Kill{"synced", "kill:rank=0:at=save.synced:step=4"},
                      Kill{"verified", "kill:rank=1:at=save.verified:step=4"}, Kill{"renamed", "kill:rank=0:at=save.renamed:step=4"},
                      Kill{"latest", "kill:rank=0:at=save.latest"}, Kill{"done", "kill:rank=1:at=save.done:step=4"}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(Kill, BetweenRenameAndLatestTheNewerCheckpointIsTaken) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  const RunFolder& folder = RunFolder::get();
  const std::string options = "--train.max_steps=6 --schedule.steps=6 --train.validate_every=0 --checkpoint.every=2 ";
  EXPECT_EQ(folder.strata(0, "train", "--run.folder=renamed " + options + "--run.fault=kill:at=save.renamed:step=4").status, 137);
  ASSERT_EQ(read_file(folder / "renamed" / "checkpoints" / "latest"), "step_000002.h5\n");
  const CommandResult resumed = folder.strata(0, "train", "--run.folder=renamed " + options);

  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("step 4, written by 1 rank"), std::string::npos) << resumed.err;
}

TEST(Kill, TheLauncherTakesItsRanksWithIt) {
  const RunFolder& folder = RunFolder::get();
  const std::string ranks = ranks_of("launcher");
  const CommandResult result =
      train_beside("launcher", 3, "--train.max_steps=100000 --schedule.steps=100000 --train.validate_every=0",
                   wait_until("grep -qs 'Step 2/' '" + (folder / "launcher" / "log.txt").string() + "'") + "kill -9 $pid; " +
                       wait_until("test -z \"" + ranks + "\"") + "test -z \"" + ranks + "\" && echo none left;");
  EXPECT_EQ(result.status, 137) << result.err;
  EXPECT_EQ(result.out, "none left\n");
}

TEST(Lock, ASecondRunInTheFolderIsRefusedAndAKilledOneDoesNotBlock) {
  const RunFolder& folder = RunFolder::get();
  const std::string second = "'" + binary() + "' train test.in --run.folder=locked --train.max_steps=3 2>second; echo second $?;";
  const CommandResult first =
      train_beside("locked", 2, "--train.max_steps=100000 --schedule.steps=100000 --train.validate_every=0 --checkpoint.every=0",
                   wait_until("grep -qs 'Step 2/' '" + (folder / "locked" / "log.txt").string() + "'") + second + " kill -9 $pid " +
                       ranks_of("locked") + ";");
  EXPECT_EQ(first.status, 137) << first.err;
  EXPECT_EQ(first.out, "second 2\n");
  const std::string message = read_file(folder / "second");
  EXPECT_NE(message.find("another run is at work in this folder: process "), std::string::npos) << message;
  EXPECT_NE(message.find(" shows whether it is alive"), std::string::npos) << message;
  const CommandResult next = folder.strata(
      1, "train", "--run.folder=locked --train.max_steps=3 --schedule.steps=100000 --train.validate_every=0 --checkpoint.every=0");
  EXPECT_EQ(next.status, 0) << next.err;
}

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
  EXPECT_LT(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), 40)
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
  // Two micro-batches of four seconds each on one rank: the others wait longer than the limit, but the slow one gets on.
  const CommandResult result = RunFolder::get().strata(3, "train",
                                                       "--run.folder=slow --parallel.timeout=3 --train.max_steps=2 "
                                                       "--train.validate_every=0 --run.fault=slow:rank=1:at=leaf:step=2:seconds=2.2");
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

class FullDisk : public ::testing::TestWithParam<const char*> {};

TEST_P(FullDisk, EndsTheRunWithCode4AndLeavesTheCheckpointBefore) {
  const SmallDisk disk("4m");  // room for a few checkpoints and the log
  if (!disk.mounted()) GTEST_SKIP() << "this user may not mount a tmpfs";
  const CommandResult result = RunFolder::get().strata(3, "train",
                                                       "--run.folder=" + disk.path() +
                                                           "/run --train.max_steps=30 --schedule.steps=30 --train.validate_every=0 "
                                                           "--checkpoint.every=2 --checkpoint.keep=0 --checkpoint.asynchronous=" +
                                                           GetParam());

  EXPECT_EQ(result.status, 4) << result.err;
  EXPECT_NE(result.err.find(".h5.tmp"), std::string::npos) << result.err;
  const fs::path checkpoints = fs::path(disk.path()) / "run" / "checkpoints";
  for (const auto& entry : fs::directory_iterator(checkpoints)) EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  const CommandResult inspected = run_command("'" + binary() + "' inspect '" + checkpoints.string() + "' --verify");
  EXPECT_EQ(inspected.status, 0) << inspected.out << inspected.err;
}

INSTANTIATE_TEST_SUITE_P(Saves, FullDisk, ::testing::Values("true", "false"),
                         [](const auto& one) { return std::string(one.param) == "true" ? "beside" : "waiting"; });

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
