// parallel.recompute and parallel.offload through the command: the same checkpoints and metrics in every mode, on any ranks, across a
// restart; and memory as check foresees it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "commands/run_fixture.hpp"
#include "strata/base/error.hpp"

namespace strata::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

void train(const std::string& run, int ranks, const std::string& options) {
  const CommandResult result =
      RunFolder::get().strata(ranks, "train", "--run.folder=" + run + " --precision.compute=bf16 --train.validate_every=2 " + options);
  ASSERT_EQ(result.status, 0) << run << "\n" << result.err;
}

void expect_equal_runs(const std::string& a, const std::string& b, int step) {
  const RunFolder& folder = RunFolder::get();
  EXPECT_EQ(checkpoint_difference(folder.checkpoint(a, step), folder.checkpoint(b, step)), "") << a << " and " << b;
  EXPECT_EQ(lasting_metrics(folder / a / "metrics.csv"), lasting_metrics(folder / b / "metrics.csv")) << a << " and " << b;
}

TEST(Recompute, SameBitsInEveryModeOnOneAndTwoRanks) {
  const std::string steps = " --train.max_steps=4";
  train("none", 0, steps);
  train("selective", 2, "--parallel.recompute=selective" + steps);
  train("full", 2, "--parallel.recompute=full --device.threads=1" + steps);
  train("none-offload", 2, "--parallel.offload=activations" + steps);
  train("selective-offload", 0, "--parallel.recompute=selective --parallel.offload=activations" + steps);
  train("full-offload", 0, "--parallel.recompute=full --parallel.offload=activations" + steps);

  for (const char* other : {"selective", "full", "none-offload", "selective-offload", "full-offload"}) expect_equal_runs("none", other, 4);
}

TEST(Recompute, ARunGoesOnInAnotherMode) {
  train("whole", 0, "--train.max_steps=4");
  train("changed", 0, "--train.max_steps=2");
  train("changed", 2, "--train.max_steps=4 --parallel.recompute=full --parallel.offload=activations");

  expect_equal_runs("whole", "changed", 4);
}

json memory_of(const std::string& options) {
  const CommandResult result = RunFolder::get().strata(0, "check", "--run.folder=fresh --json " + options);
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  return json::parse(result.out).at("facts").at("memory");
}

TEST(Recompute, CheckForeseesTheMemoryOfEachMode) {
  // A batch that is large beside what the processor's products need.
  const std::string large = "--batch.micro=64 --batch.global=64 --data.sequence=128 ";
  const auto arena = [&](const std::string& options) { return memory_of(large + options).at("arena_bytes").get<std::int64_t>(); };
  const std::int64_t none = arena(""), selective = arena("--parallel.recompute=selective"), full = arena("--parallel.recompute=full");
  EXPECT_LT(full, selective);
  EXPECT_LT(selective, none);

  const std::string table = memory_of(large + "--parallel.offload=activations").dump();
  EXPECT_THAT(table, HasSubstr("\"name\":\"host\""));
  EXPECT_THAT(memory_of(large).dump(), ::testing::Not(HasSubstr("\"name\":\"host\"")));
}

TEST(Recompute, CheckNamesTheRecomputationThatWouldFit) {
  // So many sequences that this host's memory lies between what `none` and `full` need.
  const auto memory = [&](int micro, const std::string& options) {
    return memory_of(text("--data.sequence=128 --batch.micro=", micro, " --batch.global=", micro, " ", options));
  };
  const auto slope = [&](const std::string& options) {
    const auto bytes = [&](int micro) { return memory(micro, options).at("arena_bytes").get<double>(); };
    return (bytes(128) - bytes(64)) / 64;
  };
  const double available = memory(1, "").at("available_bytes").get<double>();
  const auto micro = static_cast<int>(2 * available / (slope("") + slope("--parallel.recompute=full")));
  const CommandResult result =
      RunFolder::get().strata(0, "check", text("--run.folder=fresh --data.sequence=128 --batch.micro=", micro, " --batch.global=", micro));
  EXPECT_EQ(result.status, 4) << result.out << result.err;
  EXPECT_THAT(result.out, ::testing::ContainsRegex("parallel.recompute = (selective|full) needs [^;]* on a host, and changes no result"));
}

TEST(Recompute, TheRunAllocatesWhatCheckForesees) {
  const std::string options = "--parallel.recompute=full --parallel.offload=activations --device.threads=2 ";
  const std::int64_t planned = memory_of(options).at("arena_bytes");
  train("planned", 0, options + "--precision.compute=fp32 --train.max_steps=1");
  EXPECT_THAT(read_file(RunFolder::get() / "planned" / "log.txt"), HasSubstr(" " + std::to_string(planned) + " bytes"));
}

}  // namespace
}  // namespace strata::test
