// One run per folder: who is refused, who is not, and what a file system without locks makes of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "strata/base/error.hpp"
#include "strata/train/run_lock.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;
using namespace strata::test;
using ::testing::HasSubstr;

std::string refusal(const std::filesystem::path& folder) {
  try {
    const RunLock lock(folder, 0);
    return "";
  } catch (const DeckError& error) {
    return error.what();
  }
}

TEST(RunLock, RefusesASecondRunAndNamesTheFirst) {
  const TemporaryFolder folder;
  {
    const RunLock first(folder.path());
    EXPECT_EQ(first.note(), "");
    const std::string message = refusal(folder.path());
    EXPECT_THAT(message, HasSubstr("run.folder = " + folder.path().string()));
    EXPECT_THAT(message, HasSubstr("process " + std::to_string(getpid()) + " on host "));
    EXPECT_THAT(message, HasSubstr("since 20"));
  }
  EXPECT_EQ(refusal(folder.path()), "") << "given back";
}

TEST(RunLock, AKilledRunDoesNotBlock) {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    const RunLock lock(folder.path());
    for (;;) ::pause();
  }
  for (int i = 0; i < 500 && refusal(folder.path()).empty(); ++i) ::usleep(10000);
  EXPECT_NE(refusal(folder.path()), "");
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_NE(read_file(folder / "lock"), "") << "its text is still there";
  EXPECT_EQ(refusal(folder.path()), "");
}

TEST(RunLock, WaitsAMomentForARunThatIsEnding) {
  const TemporaryFolder folder;
  auto first = std::make_unique<RunLock>(folder.path());
  std::thread ends([&] {
    ::usleep(300000);
    first.reset();
  });
  EXPECT_NO_THROW(RunLock(folder.path(), 30));
  ends.join();
}

TEST(RunLock, KnowsWhetherAHolderRunsHere) {
  const TemporaryFolder folder;
  const RunLock lock(folder.path());
  const std::string text = read_file(folder / "lock");
  EXPECT_TRUE(lock_holder_runs_here(text));
  std::string later = text;
  char& digit = later[later.find("start = ") + 8];
  digit = digit == '9' ? '8' : '9';
  EXPECT_FALSE(lock_holder_runs_here(later)) << "the number belongs to another process now";
  std::string elsewhere = text;
  elsewhere.replace(elsewhere.find("host = ") + 7, 1, "_");
  EXPECT_FALSE(lock_holder_runs_here(elsewhere));
  EXPECT_FALSE(lock_holder_runs_here(""));
  EXPECT_FALSE(lock_holder_runs_here("host = x\npid = -1\n"));
}

TEST(RunLock, AFolderThatIsGoneIsSaid) {
  EXPECT_THROW(RunLock("/nowhere/at/all"), DataError);
}

}  // namespace
