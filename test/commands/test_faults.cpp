// Runs that are disturbed from outside: signals, killed ranks and launchers, a second run in the folder; and what the next start makes of
// them.
#include <gtest/gtest.h>

#include <chrono>

#include "commands/disturb.hpp"
#include "strata/base/fault.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;

// Steps of 60 micro-batches; without validation, and with a checkpoint at the end only.
const std::string many_leaves = "--batch.global=60 --batch.micro=1 --train.max_steps=3 --schedule.steps=3 --train.validate_every=0 ";

struct Interrupted {
  CommandResult result;
  double seconds = 0;  // from the signal to the end
};

// Each micro-batch of the second step takes a fifth of a second (times patience()); the signal comes in the middle.
Interrupted interrupt(const std::string& run, int ranks, const std::string& target, const std::string& strategy = "ddp") {
  const RunFolder& folder = RunFolder::get();
  const std::string log = (folder / run / "log.txt").string(), stamp = (folder / (run + ".stamp")).string();
  Interrupted i;
  i.result = train_beside(run, ranks,
                          many_leaves + "--run.fault=slow:at=leaf:step=2:seconds=" + std::to_string(0.2 * patience()) +
                              " --parallel.strategy=" + strategy,
                          wait_until("grep -qs 'Step 1/' '" + log + "'") + "sleep 0.5; touch '" + stamp + "'; kill -USR1 " + target + ";");
  i.seconds = std::chrono::duration<double>(fs::file_time_type::clock::now() - fs::last_write_time(stamp)).count();
  return i;
}

TEST(Signal, EndsTheRunAtTheNextMicroBatchOnAnyRanks) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  run_undisturbed("signal-none", many_leaves);
  for (const int ranks : {0, 2, 3}) {
    const std::string run = "signal-" + std::to_string(ranks);
    const Interrupted i = interrupt(run, ranks, "$pid");

    EXPECT_EQ(i.result.status, 75) << i.result.err;
    EXPECT_NE(i.result.err.find("Received SIGUSR1 in step 2, which is dropped: saving step 1"), std::string::npos) << i.result.err;
    EXPECT_LT(i.seconds, 3.5 * patience()) << "the step had at least four seconds to go";
    EXPECT_TRUE(fs::exists(RunFolder::get().checkpoint(run, 1)));
    EXPECT_FALSE(fs::exists(RunFolder::get().checkpoint(run, 2)));
    expect_same_end(run, ranks == 2 ? 3 : 2, "signal-none", many_leaves, 3);
  }
}

TEST(Signal, EndsAStepInWhichRanksNeedOneAnother) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  run_undisturbed("signal-none-2", many_leaves);
  const std::string one = "$(echo " + ranks_of("signal-fsdp") + " | tr ' ' '\\n' | tail -n 1)";
  const Interrupted i = interrupt("signal-fsdp", 2, one, "fsdp");

  EXPECT_EQ(i.result.status, 75) << i.result.err;
  EXPECT_LT(i.seconds, 3.5 * patience()) << "the step had at least four seconds to go";
  expect_same_end("signal-fsdp", 3, "signal-none-2", many_leaves, 3);
}

// One rank drops the step while others may be exchanging theirs.
TEST(Signal, EndsAStepWhoseSumsAreUnderWayBetweenHosts) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  run_undisturbed("signal-none-3", many_leaves);
  const std::string one = "$(echo " + ranks_of("signal-hosts") + " | tr ' ' '\\n' | tail -n 1)";
  const Interrupted i = interrupt("signal-hosts", 4, one, "ddp --parallel.node=2");

  EXPECT_EQ(i.result.status, 75) << i.result.err;
  expect_same_end("signal-hosts", 3, "signal-none-3", many_leaves, 3);
}

TEST(Signal, ToOneRankOnlyIsHeardByTheOthersAtTheirNextMicroBatch) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  const Interrupted i = interrupt("signal-one-rank", 2, "$(echo " + ranks_of("signal-one-rank") + " | tr ' ' '\\n' | tail -n 1)");

  EXPECT_EQ(i.result.status, 75) << i.result.err;
  EXPECT_NE(i.result.err.find("saving step 1"), std::string::npos) << i.result.err;
  EXPECT_LT(i.seconds, 4 * patience()) << "each rank had more than five seconds of its step to go";
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
  const char* strategy = "ddp";
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
    const CommandResult killed = folder.strata(
        2, "train",
        "--run.folder=" + run + " " + options + "--run.fault=" + GetParam().fault + " --parallel.strategy=" + GetParam().strategy);
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
                      Kill{"latest", "kill:rank=0:at=save.latest"}, Kill{"done", "kill:rank=1:at=save.done:step=4"},
                      Kill{"gather", "kill:rank=1:at=gather:step=3", "fsdp"}, Kill{"scatter", "kill:rank=0:at=scatter:step=4", "zero2"},
                      Kill{"spread", "kill:rank=1:at=spread:step=5", "zero1"}, Kill{"shards", "kill:rank=1:at=save.half:step=4", "fsdp"}),
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

}  // namespace
}  // namespace strata::test
