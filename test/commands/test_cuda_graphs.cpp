// device.graphs: runs with graphs are runs without, bit for bit, under every strategy and after a restart; where they cannot be, the log or
// the refusal says why.
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>

#include "commands/run_fixture.hpp"

namespace strata::test {
namespace {

const RunFolder& folder() {
  return RunFolder::get();
}

CommandResult cuda(int ranks, const std::string& run, const std::string& options, const std::string& environment = "") {
  return folder().strata_with(environment, ranks, "train", "--device.kind=cuda --run.folder=" + run + " " + options);
}

std::string log_of(const std::string& run) {
  return read_file(folder() / run / "log.txt");
}

void train(int ranks, const std::string& run, const std::string& options, const std::string& environment = "") {
  const CommandResult result = cuda(ranks, run, options, environment);
  ASSERT_EQ(result.status, 0) << run << "\n" << result.err;
}

bool says(const std::string& log, const std::string& words) {
  return log.find(words) != std::string::npos;
}

/// Passes that were launched as graphs, by plan.txt.
int launched(const std::string& run) {
  const std::string plan = read_file(folder() / run / "plan.txt"), words = "micro-batches as graphs   ";
  const std::size_t at = plan.find(words);
  return at == std::string::npos ? -1 : std::atoi(plan.c_str() + at + words.size());
}

constexpr const char* captured = "CUDA graphs: a micro-batch is ";

/// Trains op by op on one rank, once for each set of options.
std::string plain_run(const std::string& options) {
  static std::map<std::string, std::string> runs;
  std::string& run = runs[options];
  if (run.empty()) {
    run = "plain" + std::to_string(runs.size());
    train(0, run, options + " --device.graphs=off");
    EXPECT_FALSE(says(log_of(run), "CUDA graphs"));
  }
  return run;
}

void expect_same(const std::string& a, const std::string& b, int step) {
  EXPECT_EQ(checkpoint_difference(folder().checkpoint(a, step), folder().checkpoint(b, step)), "") << a << " and " << b;
  EXPECT_EQ(lasting_metrics(folder() / a / "metrics.csv"), lasting_metrics(folder() / b / "metrics.csv")) << a << " and " << b;
}

TEST(CudaGraphs, ARunAndItsRestartGiveTheBitsOfOpByOp) {
  // Validation after every second step; steps of five micro-batches, the last of an epoch of fewer.
  const std::string options = "--data.mask_documents=true --batch.global=10 --train.validate_every=2 --train.validation_sequences=4 ";
  const std::string plain = plain_run(options + "--train.max_steps=4");
  train(0, "graphs", options + "--train.max_steps=4 --device.graphs=on");
  EXPECT_TRUE(says(log_of("graphs"), captured)) << log_of("graphs");
  expect_same(plain, "graphs", 4);
  train(0, "parts", options + "--train.max_steps=2");
  train(0, "parts", options + "--train.max_steps=4");
  expect_same(plain, "parts", 4);
}

TEST(CudaGraphs, SameBitsUnderEveryStrategy) {
  const std::string options = "--train.max_steps=3 --train.validation_sequences=4 ";
  const std::string plain = plain_run(options);
  const struct {
    const char *name, *options;
  } launches[] = {{"hosts", "--parallel.strategy=ddp --parallel.node=1"},  // sums leave during the last backward pass
                  {"zero1", "--parallel.strategy=zero1 --parallel.node=1"},
                  {"zero2", "--parallel.strategy=zero2"},
                  {"fsdp", "--parallel.strategy=fsdp"},
                  {"ahead", "--parallel.strategy=fsdp --parallel.prefetch=2 --parallel.recompute=full"}};
  for (const auto& launch : launches) {
    train(2, launch.name, options + launch.options + " --device.graphs=on");
    // Of nine passes the first of each of three kinds runs op by op; of four, where weights may still be coming when a pass begins.
    EXPECT_GE(launched(launch.name), 9 - 4) << launch.name << "\n" << log_of(launch.name);
    expect_same(plain, launch.name, 3);
  }
}

TEST(CudaGraphs, WhereTheyCannotBeTheLogSaysWhy) {
  const std::string options = "--train.max_steps=2 --train.validate_every=0 ";
  const std::string plain = plain_run(options);
  const struct {
    const char *options, *environment, *words;
  } cases[] = {{"--parallel.offload=activations", "", "CUDA graphs: off, parallel.offload = activations copies between"},
               {"", "STRATA_EMULATION_GRAPHS=0", "CUDA graphs: off from here on, a micro-batch cannot be captured"}};
  int number = 0;
  for (const auto& c : cases) {
    if (on_real_gpu() && *c.environment) continue;
    const std::string run = "off" + std::to_string(number++);
    train(0, run, options + c.options, c.environment);
    EXPECT_TRUE(says(log_of(run), c.words)) << log_of(run);
    EXPECT_FALSE(says(log_of(run), captured)) << log_of(run);
    expect_same(plain, run, 2);
  }
}

TEST(CudaGraphs, OnIsRefusedWhereTheyCannotBe) {
  const auto expect = [](const CommandResult& result, int status, const std::string& words) {
    EXPECT_EQ(result.status, status) << result.err;
    EXPECT_TRUE(says(result.err + result.out, words)) << result.err << result.out;
  };
  const std::string on = "--device.graphs=on ";
  expect(cuda(0, "none", on + "--run.profile=true"), 2, "run.profile = true measures op by op; expected auto or off");
  expect(cuda(0, "none", on + "--parallel.offload=parameters"), 2, "parallel.offload = parameters copies between the ops");
  expect(folder().strata(0, "train", on + "--device.kind=cpu --run.folder=none"), 2, "graphs are for cuda, and there is device.kind = cpu");
  const std::string without = "STRATA_CUDA_LIBRARY=/nowhere/libstrata_cuda.so", wish = on + "--device.kind=auto --run.folder=none";
  for (const char* command : {"train", "plan", "check"}) expect(folder().strata_with(without, 0, command, wish), 2, "graphs are for cuda");
  if (!on_real_gpu()) expect(cuda(0, "full", on, "STRATA_EMULATION_GRAPHS=0"), 1, "making a graph: cudaErrorMemoryAllocation");
}

}  // namespace
}  // namespace strata::test
