// Whole training runs: the same bits on any number of ranks and threads and across restarts; wrong decks and data end with their exit
// codes.
#include <gtest/gtest.h>

#include "commands/disturb.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;

// Runs `train` into the folder `run` and expects success.
void train(const std::string& run, int ranks, const std::string& options) {
  const CommandResult result = RunFolder::get().strata(ranks, "train", "--run.folder=" + run + " " + options);
  ASSERT_EQ(result.status, 0) << run << "\n" << result.err;
}

void expect_equal_runs(const std::string& a, const std::string& b, int step) {
  const RunFolder& folder = RunFolder::get();
  EXPECT_EQ(checkpoint_difference(folder.checkpoint(a, step), folder.checkpoint(b, step)), "") << a << " and " << b;
  EXPECT_EQ(lasting_metrics(folder / a / "metrics.csv"), lasting_metrics(folder / b / "metrics.csv")) << a << " and " << b;
}

TEST(Train, SameBitsOnOneToFourRanksAndAnyThreads) {
  train("one", 0, "--device.threads=1");
  train("two", 2, "--device.threads=3");
  train("three", 3, "--device.threads=1");
  train("four", 4, "--device.threads=2");

  for (const char* other : {"two", "three", "four"}) expect_equal_runs("one", other, 10);
}

TEST(Train, SameBitsInBf16WithBlocksAndDocumentMask) {
  const std::string options = "--precision.compute=bf16 --batch.block=2 --data.mask_documents=true --train.max_steps=4 ";
  train("bf16-one", 1, options + "--device.threads=2");
  train("bf16-three", 3, options + "--device.threads=1 --checkpoint.asynchronous=false");
  // checkpoint.asynchronous is part of the deck and so of the record: compare the tensors and the metrics.
  const RunFolder& folder = RunFolder::get();
  const CommandResult diff = run_command("h5diff --exclude-path /run '" + folder.checkpoint("bf16-one", 4).string() + "' '" +
                                         folder.checkpoint("bf16-three", 4).string() + "'");
  EXPECT_EQ(diff.status, 0) << diff.out;
  EXPECT_EQ(lasting_metrics(folder / "bf16-one" / "metrics.csv"), lasting_metrics(folder / "bf16-three" / "metrics.csv"));
}

TEST(Train, FiveStepsARestartOnOtherRanksAndFiveEqualTen) {
  // Four does not divide five: the validation at the first half's end must leave no trace.
  train("whole", 2, "--train.validate_every=4");
  train("halves", 3, "--train.validate_every=4 --train.max_steps=5");
  train("halves", 1, "--train.validate_every=4");

  expect_equal_runs("whole", "halves", 10);
}

TEST(Train, EpochsEndWithASmallerStepOnAnyRanks) {
  const std::string options =
      "--train.max_steps=0 --train.epochs=1 --schedule.steps=auto --schedule.warmup_steps=0 --data.sequence=128 --batch.global=8 "
      "--batch.micro=4 --train.validate_every=0 --checkpoint.every=0 ";
  train("epoch-one", 1, options);
  train("epoch-three", 3, options);

  const RunFolder& folder = RunFolder::get();
  const std::string metrics = lasting_metrics(folder / "epoch-one" / "metrics.csv");
  EXPECT_EQ(metrics, lasting_metrics(folder / "epoch-three" / "metrics.csv"));
  const std::string last = metrics.substr(metrics.rfind('\n', metrics.size() - 2) + 1);
  EXPECT_EQ(last.substr(last.find(',') + 1, 2), "1,") << "the run ends at epoch 1 exactly: " << last;
}

TEST(Train, LossFalls) {
  train("falls", 2, "--train.max_steps=40 --schedule.steps=40 --train.validate_every=10");
  const std::string metrics = lasting_metrics(RunFolder::get() / "falls" / "metrics.csv");
  const auto loss_of = [&](const std::string& row) {
    return std::stod(row.substr(row.find(',', row.find(',', row.find(',') + 1) + 1) + 1));
  };
  const std::size_t first = metrics.find('\n') + 1, last = metrics.rfind('\n', metrics.size() - 2) + 1;

  EXPECT_LT(loss_of(metrics.substr(last)), 0.6 * loss_of(metrics.substr(first)));
}

TEST(Train, KeepsTheNewestAndTheBestCheckpoints) {
  train("keep", 1, "--checkpoint.every=2 --checkpoint.keep=2 --train.validate_every=5");
  const RunFolder& folder = RunFolder::get();

  EXPECT_EQ(read_file(folder / "keep" / "checkpoints" / "latest"), "step_000010.h5\n");
  EXPECT_TRUE(fs::exists(folder.checkpoint("keep", 8)));
  EXPECT_FALSE(fs::exists(folder.checkpoint("keep", 2)));
  EXPECT_TRUE(fs::exists(folder / "keep" / "checkpoints" / "best"));
}

TEST(Train, EarlyStoppingEndsTheRun) {
  train("early", 2, "--train.early_stopping=2 --train.min_delta=100 --train.validate_every=1");
  EXPECT_NE(read_file(RunFolder::get() / "early" / "log.txt").find("Early stopping after step 3"), std::string::npos);
}

TEST(Train, ABatchThatFollowsTheRanksDoesNotContinueOnOthers) {
  const std::string options = "--batch.global=auto --batch.accumulation=2 ";
  train("follows", 2, options + "--train.max_steps=2");
  const CommandResult result = RunFolder::get().strata(3, "train", "--run.folder=follows " + options);

  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_NE(result.err.find("batch follows the number of ranks"), std::string::npos) << result.err;
}

TEST(Train, BeginningAnewSetsLaterCheckpointsAside) {
  train("anew", 1, "--train.max_steps=6 --checkpoint.every=3");
  train("anew", 1, "--train.max_steps=2 --run.resume=never");
  const RunFolder& folder = RunFolder::get();

  EXPECT_EQ(read_file(folder / "anew" / "checkpoints" / "latest"), "step_000002.h5\n");
  EXPECT_FALSE(fs::exists(folder.checkpoint("anew", 6)));
  EXPECT_TRUE(fs::exists(folder.checkpoint("anew", 6).string() + ".superseded"));
}

TEST(Train, EffectiveDeckFeedsBackAsADeck) {
  train("first", 1, "--train.max_steps=3 --schedule.steps=5");
  const RunFolder& folder = RunFolder::get();
  fs::copy_file(folder / "first" / "effective.deck", folder / "echo.in");
  const CommandResult again = run_command("cd '" + (folder / "").string() + "' && '" + binary() + "' train echo.in --run.folder=second");

  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_EQ(checkpoint_difference(folder.checkpoint("first", 3), folder.checkpoint("second", 3)), "");
}

TEST(Train, ADamagedNewestCheckpointIsPassedOver) {
  train("damaged", 1, "--train.max_steps=5 --checkpoint.every=2");
  const RunFolder& folder = RunFolder::get();
  std::string bytes = read_file(folder.checkpoint("damaged", 5));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(folder.checkpoint("damaged", 5), bytes);

  const CommandResult result = folder.strata(2, "train", "--run.folder=damaged --train.max_steps=6 --checkpoint.every=2");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.err.find("step_000005.h5"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("step 4, written by 1 rank"), std::string::npos) << result.err;
}

TEST(Train, AChangedDeckDoesNotContinueAnotherRun) {
  train("fixed", 1, "--train.max_steps=2");
  const CommandResult result = RunFolder::get().strata(2, "train", "--run.folder=fixed --optimizer.lr=1e-4");

  EXPECT_EQ(result.status, 2);
  EXPECT_NE(result.err.find("optimizer.lr was 0.003, is 1e-04"), std::string::npos) << result.err;
}

// Runs `train` on two ranks, sends the signal to mpirun once a step is logged, and waits.
CommandResult train_and_signal(const std::string& run, const std::string& signal, const std::string& options) {
  const RunFolder& folder = RunFolder::get();
  const std::string log = (folder / run / "log.txt").string();
  return run_command("cd '" + (folder / "").string() + "' && mpirun --oversubscribe --bind-to none -n 2 '" + binary() +
                     "' train test.in --run.folder=" + run + " " + options + " & pid=$!; " +
                     wait_until("grep -qs 'Step 3/' '" + log + "'") + "kill -" + signal + " $pid; wait $pid");
}

TEST(Train, ASignalSavesLeavesWith75AndTheRunGoesOnToTheSameBits) {
  const std::string options = "--train.max_steps=60 --schedule.steps=60 --train.validate_every=0 --checkpoint.every=0";
  train("undisturbed", 1, options);

  const CommandResult stopped = train_and_signal("signalled", "USR1", options);
  EXPECT_EQ(stopped.status, 75) << stopped.err;
  EXPECT_NE(stopped.err.find("Received SIGUSR1"), std::string::npos) << stopped.err;
  train("signalled", 3, options);

  expect_equal_runs("undisturbed", "signalled", 60);
}

TEST(Train, AStormOfSignalsDisturbsNoComputation) {
  // One save on the first of many; oneDNN's kernels must never see a signal's frame on their stack.
  const RunFolder& folder = RunFolder::get();
  const std::string log = (folder / "storm" / "log.txt").string();
  const CommandResult result =
      run_command("cd '" + (folder / "").string() + "' && '" + binary() +
                  "' train test.in --run.folder=storm --train.max_steps=1000000 --schedule.steps=1000000 & pid=$!; " +
                  wait_until("grep -qs 'Step 3/' '" + log + "'") + "while kill -USR1 $pid 2>/dev/null; do sleep 0.001; done; wait $pid");
  EXPECT_EQ(result.status, 75) << result.err;
}

TEST(Train, AKilledRankEndsTheJobAndTheRunGoesOn) {
  const std::string options = "--train.max_steps=400 --schedule.steps=400 --train.validate_every=0 --checkpoint.every=2";
  const RunFolder& folder = RunFolder::get();
  const std::string latest = (folder / "killed" / "checkpoints" / "latest").string();
  const CommandResult result = run_command("cd '" + (folder / "").string() + "' && mpirun --oversubscribe --bind-to none -n 2 '" +
                                           binary() + "' train test.in --run.folder=killed " + options + " & pid=$!; " +
                                           wait_until("test -e '" + latest + "'") + "pkill -9 -n -f run.folder=killed; wait $pid");
  EXPECT_EQ(result.status, 137) << result.err;
  const CommandResult resumed = folder.strata(
      3, "train", "--run.folder=killed --train.max_steps=20 --schedule.steps=400 --train.validate_every=0 --checkpoint.every=2");

  EXPECT_EQ(resumed.status, 0) << resumed.err;
  EXPECT_NE(resumed.err.find("Resuming from"), std::string::npos) << resumed.err;
}

TEST(Train, TellsAllErrorsAtOnceOnAllRanks) {
  const CommandResult result =
      RunFolder::get().strata(3, "train", "--run.folder=many --data.train=gone.h5 --data.validation=text.txt --data.sequence=256");
  EXPECT_EQ(result.status, 3) << result.err;
  EXPECT_NE(result.err.find("the run cannot start, 3 errors:"), std::string::npos) << result.err;
  for (const char* message : {"gone.h5", "text.txt", "max_position_embeddings"})
    EXPECT_NE(result.err.find(message), std::string::npos) << message;
  const std::size_t first = result.err.find("error: ");
  EXPECT_EQ(result.err.find("error: ", first + 1), std::string::npos) << result.err;
}

struct Wrong {
  const char* name;
  const char* options;
  int status;
  const char* message;
};
std::ostream& operator<<(std::ostream& out, const Wrong& w) {
  return out << w.name;
}

class WrongTrain : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongTrain, EndsEveryRankWithItsExitCodeAndMessage) {
  const CommandResult result = RunFolder::get().strata(2, "train", std::string("--run.folder=wrong ") + GetParam().options);

  EXPECT_EQ(result.status, GetParam().status) << result.err;
  EXPECT_NE(result.err.find(GetParam().message), std::string::npos) << result.err;
  const std::size_t first = result.err.find("error: ");
  EXPECT_EQ(result.err.find("error: ", first + 1), std::string::npos) << "one message, not one per rank:\n" << result.err;
}

INSTANTIATE_TEST_SUITE_P(Cases, WrongTrain,
                         ::testing::Values(Wrong{"key", "--optimizer.lrr=1", 2, "optimizer.lr"},
                                           Wrong{"data", "--data.train=gone.h5", 3, "gone.h5"},
                                           Wrong{"config", "--model.config=gone.json", 3, "gone.json"},
                                           Wrong{"text_as_data", "--data.train=text.txt", 3, "text.txt"},
                                           Wrong{"long_sequence", "--data.sequence=256", 3, "max_position_embeddings"},
                                           Wrong{"diverges", "--optimizer.lr=1e30 --train.clip=0 --schedule.warmup_steps=0", 5, "step"}));

}  // namespace
}  // namespace strata::test
