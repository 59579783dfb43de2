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

struct Interrupted {
  CommandResult result;
  double seconds = 0;  // from the signal to the end
};

// Trains on `ranks` ranks where each micro-batch takes a twentieth of a second, and signals in the middle of the second step: the launcher, or
// only the rank whose process the pattern finds.
Interrupted interrupt(const std::string& run, int ranks, const std::string& target, const std::string& more) {
  const RunFolder& folder = RunFolder::get();
  const std::string log = (folder / run / "log.txt").string(), stamp = (folder / (run + ".stamp")).string();
  const std::string launcher = ranks ? "mpirun --oversubscribe --bind-to none -n " + std::to_string(ranks) + " " : "";
  Interrupted i;
  i.result = run_command("cd '" + (folder / "").string() + "' && " + launcher + "'" + binary() + "' train test.in --run.folder=" + run + " " + many_leaves +
                         "--run.fault=slow:at=leaf:seconds=0.05 & pid=$!; " + wait_until("grep -qs 'Step 1/' '" + log + "'") + "sleep 0.3; touch '" + stamp +
                         "'; kill -USR1 " + (target.empty() ? "$pid" : target) + "; " + more + " wait $pid");
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

// One rank alone would need three seconds for the rest of its step.
TEST(Signal, EndsTheRunAtTheNextMicroBatchOnAnyRanks) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  run_undisturbed("signal-none", many_leaves);
  for (const int ranks : {0, 1, 2, 3}) {
    const std::string run = "signal-" + std::to_string(ranks);
    const Interrupted i = interrupt(run, ranks, "", "");

    EXPECT_EQ(i.result.status, 75) << i.result.err;
    EXPECT_NE(i.result.err.find("Received SIGUSR1 in step 2, which is dropped: saving step 1"), std::string::npos) << i.result.err;
    EXPECT_TRUE(fs::exists(RunFolder::get().checkpoint(run, 1)));
    EXPECT_FALSE(fs::exists(RunFolder::get().checkpoint(run, 2)));
    expect_same_end(run, ranks == 2 ? 3 : 2, "signal-none", many_leaves, 3);
  }
}

TEST(Signal, ToOneRankOnlyIsHeardByTheOthersAtTheirNextMicroBatch) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  const std::string newest = "$(pgrep -n -f 'train test.in --run.folder=signal-one-rank')";
  const Interrupted i = interrupt("signal-one-rank", 2, newest, "");

  EXPECT_EQ(i.result.status, 75) << i.result.err;
  EXPECT_NE(i.result.err.find("saving step 1"), std::string::npos) << i.result.err;
  EXPECT_LT(i.seconds, 1.2) << "each rank had more than a second of its step to go";
}

TEST(Signal, ASecondOneDuringTheSaveChangesNothing) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  const Interrupted i = interrupt("signal-twice", 2, "", "for i in $(seq 40); do kill -USR1 $pid 2>/dev/null; sleep 0.01; done;");

  EXPECT_EQ(i.result.status, 75) << i.result.err;
  expect_same_end("signal-twice", 1, "signal-none", many_leaves, 3);
}

}  // namespace
}  // namespace strata::test
