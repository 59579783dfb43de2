// strata plan: what it says is what a run allocates; comparing, choosing a strategy, runs that do not fit, and thousands of ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <nlohmann/json.hpp>

#include "commands/run_fixture.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

// A machine of round numbers, so that nothing here depends on this one.
constexpr const char* machine = R"([machine]
cores = 4
memory = 100000000
[compute]
fp32 = 100
bf16 = 200
fp64 = 50
[memory]
read = 20
copy = 20
triad = 20
[host_link]
latency = 1
bandwidth = 5
[network]
latency = 20
bandwidth = 1
[ops]
adamw_update_fp32_4096 = 10
)";

CommandResult plan(const std::string& options, int ranks = 0) {
  const fs::path file = RunFolder::get() / "machine.in";
  if (!fs::exists(file)) write_file(file, machine);
  return RunFolder::get().strata(ranks, "plan", "--run.folder=planned " + options);
}

json plan_json(const std::string& options, int status = 0) {
  const CommandResult result = plan("--json " + options);
  EXPECT_EQ(result.status, status) << result.out << result.err;
  return json::parse(result.out);
}

TEST(Plan, IsWhatARunTakesAndPlanTxtSaysWhatCame) {
  const json planned = plan_json("--plan.ranks=2 --device.threads=1 --parallel.strategy=fsdp --plan.machine=machine.in");
  const CommandResult run = RunFolder::get().strata(
      2, "train", "--run.folder=planned --device.threads=1 --parallel.strategy=fsdp --train.max_steps=3 --plan.machine=machine.in");
  ASSERT_EQ(run.status, 0) << run.err;
  const std::string came = read_file(RunFolder::get() / "planned" / "plan.txt");
  EXPECT_THAT(came, HasSubstr(std::to_string(planned.at("memory").at("arena_bytes").get<std::int64_t>()) + " bytes, as planned"));
  EXPECT_THAT(came, HasSubstr("Communication of a step"));
  EXPECT_THAT(came, HasSubstr("Time of a step"));
  EXPECT_THAT(came, HasSubstr("steps of this launch      3"));
  EXPECT_THAT(came, HasSubstr("of what was foreseen"));
}

TEST(Plan, JsonAddsUp) {
  const json all = plan_json("--plan.ranks=8 --plan.ranks_per_host=2 --parallel.strategy=fsdp --plan.machine=machine.in");
  EXPECT_EQ(all.at("launch").at("ranks"), 8);
  EXPECT_EQ(all.at("launch").at("ranks_per_host"), 2);
  EXPECT_EQ(all.at("launch").at("threads"), 2);  // four cores, two ranks
  EXPECT_TRUE(all.at("fits"));
  std::int64_t groups = 0, regions = 0;
  for (const json& row : all.at("memory").at("groups")) groups += row.at("bytes").get<std::int64_t>();
  for (const json& row : all.at("memory").at("regions")) regions += row.at("bytes").get<std::int64_t>();
  EXPECT_EQ(groups, all.at("memory").at("arena_bytes"));
  EXPECT_EQ(regions, all.at("memory").at("arena_bytes"));
  EXPECT_EQ(all.at("step").at("micro_batches"), 6);
  double seconds = 0;
  for (const json& term : all.at("time").at("terms")) seconds += term.at("seconds").get<double>();
  EXPECT_NEAR(seconds, all.at("time").at("seconds").get<double>(), 1e-12);
  EXPECT_EQ(all.at("scaling").size(), 3u);  // 1, 2 and 4 hosts
  EXPECT_EQ(all.at("scaling").back().at("seconds"), all.at("time").at("seconds"));
}

TEST(Plan, FsdpSharesWhatDdpRepeats) {
  const auto bytes = [](const std::string& strategy, const std::string& group) {
    const json all = plan_json("--plan.ranks=4 --parallel.strategy=" + strategy);
    for (const json& row : all.at("memory").at("groups"))
      if (row.at("name") == group) return row.at("bytes").get<std::int64_t>();
    return std::int64_t{0};
  };
  EXPECT_LT(bytes("zero1", "optimizer"), bytes("ddp", "optimizer") * 6 / 10);
  EXPECT_LT(bytes("fsdp", "parameters"), bytes("ddp", "parameters") * 6 / 10);
  EXPECT_EQ(bytes("fsdp", "activations"), bytes("ddp", "activations"));
}

TEST(Plan, WithoutDataOrMachineThereIsNoTime) {
  const json all = plan_json("--data.train= --data.validation= --tokenizer.path=");
  EXPECT_FALSE(all.contains("time"));
  EXPECT_GT(all.at("memory").at("arena_bytes"), 0);
}

TEST(Compare, FastestFirstAndTheSameEveryTime) {
  const std::string options = "--plan.ranks=4 --plan.ranks_per_host=2 --plan.machine=machine.in --plan.compare=true";
  const json first = plan_json(options);
  EXPECT_EQ(first, plan_json(options));
  const json& runs = first.at("runs");
  ASSERT_GT(runs.size(), 5u);
  bool other_bits = false;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    EXPECT_LE(runs[i == 0 ? 0 : i - 1].at("seconds"), runs[i].at("seconds"));
    EXPECT_EQ(runs[i].at("same_bits"), runs[i].at("micro") == "2");
    EXPECT_LE(runs[i].at("host_bytes"), 100000000);
    other_bits = other_bits || runs[i].at("micro") != "2";
  }
  EXPECT_TRUE(other_bits);
  EXPECT_EQ(first, plan_json("--compare --plan.ranks=4 --plan.ranks_per_host=2 --plan.machine=machine.in"));  // the short form
  const CommandResult table = plan(options);
  EXPECT_EQ(table.status, 0);
  EXPECT_THAT(table.out, HasSubstr("[parallel]\nstrategy"));
  EXPECT_THAT(table.out, HasSubstr("the fastest that gives the same bits"));
  // A row's options are a run of that row.
  const json again =
      plan_json("--plan.ranks=4 --plan.ranks_per_host=2 --plan.machine=machine.in " + runs[0].at("options").get<std::string>());
  EXPECT_EQ(again.at("time").at("seconds"), runs[0].at("seconds"));
  EXPECT_EQ(again.at("memory").at("host_bytes"), runs[0].at("host_bytes"));
}

TEST(Auto, TakesTheFirstOfTheComparisonThatKeepsTheMicroBatch) {
  const json runs = plan_json("--plan.ranks=4 --plan.ranks_per_host=2 --plan.machine=machine.in --plan.compare=true").at("runs");
  std::string expected;
  for (const json& run : runs)
    if (expected.empty() && run.at("same_bits") && run.at("recompute") == "none") expected = run.at("strategy").get<std::string>();
  const json planned = plan_json("--plan.ranks=4 --plan.ranks_per_host=2 --plan.machine=machine.in --parallel.strategy=auto");
  EXPECT_EQ(planned.at("parallel").at("strategy"), expected);
}

TEST(Auto, TrainsAndTheEffectiveDeckSaysWithWhat) {
  const CommandResult run = RunFolder::get().strata(2, "train", "--run.folder=auto --parallel.strategy=auto --train.max_steps=2");
  ASSERT_EQ(run.status, 0) << run.err;
  EXPECT_THAT(run.err, HasSubstr("parallel.strategy = auto: "));
  const std::string effective = read_file(RunFolder::get() / "auto" / "effective.deck");
  EXPECT_THAT(effective, Not(HasSubstr("strategy      = auto")));
  EXPECT_THAT(effective, HasSubstr("parallel.strategy = auto"));  // where the value comes from
  EXPECT_EQ(RunFolder::get().strata(0, "check", "--run.folder=auto2 --parallel.strategy=auto --check.ranks=2").status, 0);
}

TEST(DoesNotFit, PlanEndsWithFourAndAnAlternativeIsNamed) {
  // Of 100 MB, ddp with eight ranks on a host needs more; shards do not.
  const std::string options = "--plan.ranks=8 --plan.ranks_per_host=8 --device.threads=1 --batch.global=16 --plan.machine=machine.in ";
  EXPECT_FALSE(plan_json(options, 4).at("fits"));
  const CommandResult result = plan(options);
  EXPECT_EQ(result.status, 4);
  EXPECT_THAT(result.out, HasSubstr("it does not fit"));
}

TEST(Plan, MistakesAreToldWithTheirPlace) {
  const CommandResult wrong = plan("--plan.ranks=0.5");
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("plan.ranks"));
  const CommandResult missing = plan("--plan.machine=nowhere.in");
  EXPECT_EQ(missing.status, 2);
  EXPECT_THAT(missing.err, HasSubstr("nowhere.in"));
  const CommandResult groups = plan("--plan.ranks=6 --plan.ranks_per_host=4 --parallel.strategy=hybrid");
  EXPECT_EQ(groups.status, 2);
  EXPECT_THAT(groups.err, HasSubstr("do not divide into groups of 4"));
}

// The time that processes which this one has waited for have computed. [s]
double computed_seconds() {
  rusage use{};
  getrusage(RUSAGE_CHILDREN, &use);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

// Qwen3-14B on 4,096 ranks: under 5 s, of computing, whatever else the machine does.
TEST(Plan, FourThousandRanksOfFourteenBillionParameters) {
  const fs::path model = source_dir() / "input" / "models" / "qwen3-14b.json";
  for (const char* strategy : {"ddp", "fsdp", "hybrid"}) {
    const double before = computed_seconds();
    const CommandResult result =
        plan("--json --data.train= --data.validation= --tokenizer.path= --tokenizer.train=false --model.config='" + model.string() +
             "' --plan.ranks=4096 --plan.ranks_per_host=8 --data.sequence=4096 --batch.micro=1 "
             "--batch.global=4096 --precision.compute=bf16 --parallel.strategy=" +
             strategy);
    ASSERT_EQ(json::parse(result.out).at("model").at("parameters"), 14768307200) << result.err;
    EXPECT_LT(computed_seconds() - before, 5 * patience()) << strategy;
  }
}

}  // namespace
}  // namespace strata::test
