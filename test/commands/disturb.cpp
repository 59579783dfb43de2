#include "commands/disturb.hpp"

#include <gtest/gtest.h>

namespace strata::test {

std::string wait_until(const std::string& condition) {
  return "for i in $(seq " + std::to_string(1500 * patience()) + "); do " + condition + " && break; sleep 0.02; done; ";
}

CommandResult train_beside(const std::string& run, int ranks, const std::string& options, const std::string& script) {
  const std::string launcher = ranks ? "mpirun --oversubscribe --bind-to none -n " + std::to_string(ranks) + " " : "";
  return run_command("cd '" + (RunFolder::get() / "").string() + "' && { " + launcher + "'" + binary() +
                     "' train test.in --run.folder=" + run + " " + options + " & pid=$!; " + script + " wait $pid; }");
}

std::string ranks_of(const std::string& run) {
  const std::string folder = std::filesystem::canonical(RunFolder::get() / "").string();
  return "$(pgrep -x strata | while read p; do test \"$(readlink /proc/$p/cwd)\" = '" + folder + "' && grep -qszx -- '--run.folder=" + run +
         "' /proc/$p/cmdline && echo $p; done)";
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

}  // namespace strata::test
