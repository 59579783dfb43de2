// strata measure on a GPU, real or emulated: the machine file that plan and the profile read, and the tuning file that a run takes its
// algorithms from, records, and refuses where it is wrong.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <algorithm>
#include <sstream>

#include "commands/run_fixture.hpp"
#include "strata/base/error.hpp"
#include "strata/checkpoint/reader.hpp"
#include "strata/deck/machine_file.hpp"
#include "strata/deck/tuning_file.hpp"

namespace strata::test {
namespace {

CommandResult cuda(int ranks, const std::string& command, const std::string& options) {
  return RunFolder::get().strata(ranks, command, "--device.kind=cuda " + options);
}

void expect_words(const std::string& found, const std::vector<std::string>& words) {
  for (const std::string& word : words) EXPECT_NE(found.find(word), std::string::npos) << word << "\n" << found;
}

void train(const std::string& run, int ranks, const std::string& options) {
  const CommandResult result = cuda(ranks, "train", "--train.validation_sequences=4 --run.folder=" + run + " " + options);
  ASSERT_EQ(result.status, 0) << run << "\n" << result.err;
}

/// What `strata measure` writes for the deck of the tests, once.
const std::filesystem::path& measured() {
  static const std::filesystem::path path = [] {
    const CommandResult result = cuda(0, "measure", "--measure.seconds=0.5 --measure.output=m/gpu.in --json");
    EXPECT_EQ(result.status, 0) << result.err;
    expect_words(result.err, {"Machine file m/gpu.in written", "Tuning file m/gpu.tuning written", "products tuned"});
    const auto json = nlohmann::json::parse(result.out);
    EXPECT_GE(json.at("gpu").at("count"), 1);
    EXPECT_GT(json.at("gpu").at("to_gpu_gbs").get<double>(), 0);
    return RunFolder::get() / "m";
  }();
  return path;
}

/// The tuning of the deck with another algorithm of the emulation for every product, in `file`: from the back to the front.
void write_backward(const std::string& file) {
  Tuning tuning = read_tuning_file(measured() / "gpu.tuning");
  for (auto& [name, product] : tuning.products) product.algorithm = {{2, 18, 1, 0, 0, 0, 4, 0, 0}};
  write_file(RunFolder::get() / file, tuning_text(tuning));
}

std::string record_of(const std::string& run, int step) {
  const CheckpointReader checkpoint(RunFolder::get().checkpoint(run, step));
  const auto& extra = checkpoint.run().extra;
  const auto found = extra.find("device.tuning");
  return found == extra.end() ? "" : found->second;
}

TEST(MeasureOnAGpu, WritesTheMachineFileThatPlanAndTheProfileRead) {
  const Machine m = read_machine_file(measured() / "gpu.in");
  EXPECT_FALSE(m.gpu.empty());
  EXPECT_GE(m.gpus, 1);
  for (const double value : {m.fp32_gflops, m.bf16_gflops, m.fp64_gflops, m.read_gbs, m.copy_gbs, m.triad_gbs, m.to_gpu_gbs, m.from_gpu_gbs,
                             m.disk_write_gbs, m.disk_read_gbs, m.clock_mhz, m.pool_us})
    EXPECT_GT(value, 0);
  EXPECT_EQ(m.loaded_clock_mhz, 0) << "a GPU's work says nothing of the host's clock";
  EXPECT_GT(m.gpu_memory_bytes, 0);
  EXPECT_EQ(m.ops.count("linear_forward_fp32_64x128x48"), 1U) << "the deck's own sizes: q, k and v of 2 sequences of 32 tokens";
  EXPECT_EQ(m.ops.count("rms_norm_forward_fp32_64x48"), 1U);

  const std::string file = " --plan.machine=m/gpu.in";
  const CommandResult plan = cuda(0, "plan", file);
  EXPECT_EQ(plan.status, 0) << plan.err;
  expect_words(plan.out, {"Time of a step", "linear_forward", "The GPUs of a host need "});
  EXPECT_EQ(plan.out.find("guessed"), std::string::npos) << plan.out;
  const CommandResult on_login_node = RunFolder::get().strata_with("STRATA_CUDA_LIBRARY=/nowhere.so", 0, "plan", file);
  EXPECT_EQ(on_login_node.status, 0) << on_login_node.err;
  EXPECT_EQ(on_login_node.out, plan.out) << "device.kind = auto is what the machine file is of";
  const CommandResult other = RunFolder::get().strata(0, "plan", "--device.kind=cpu" + file);
  EXPECT_EQ(other.status, 2) << other.err;
  expect_words(other.err, {"plan.machine = m/gpu.in: it has the rates of a GPU (", "), and device.kind = cpu"});

  train("profiled", 0, "--train.max_steps=2 --run.profile=true" + file);
  expect_words(read_file(RunFolder::get() / "profiled" / "log.txt"), {"(m/gpu.in)", "floor ms"});
}

TEST(MeasureOnAGpu, TwoRanksThatShareOneCountItOnce) {
  if (on_real_gpu()) GTEST_SKIP() << "a real GPU's number is not set";
  const CommandResult result = RunFolder::get().strata_with("STRATA_EMULATION_DEVICES=1", 2, "measure",
                                                            "--device.kind=cuda --measure.seconds=0.2 --measure.output=m/two.in");
  ASSERT_EQ(result.status, 0) << result.err;
  const Machine m = read_machine_file(RunFolder::get() / "m" / "two.in");
  EXPECT_EQ(m.gpus, 1);
  EXPECT_EQ(m.gather_ranks, 2);
  EXPECT_GT(m.host_gbs, 0);
  EXPECT_EQ(m.share(1, 2), 0.5);
  EXPECT_EQ(read_tuning_file(RunFolder::get() / "m" / "two.tuning").products.size(),
            read_tuning_file(measured() / "gpu.tuning").products.size());
}

TEST(MeasureOnAGpu, WithoutAModelThereIsNoTuningFile) {
  const CommandResult result = run_command("cd '" + (RunFolder::get() / ".").string() + "' && '" + binary() +
                                           "' measure --device.kind=cuda --measure.seconds=0.02 --measure.output=m/bare.in");
  EXPECT_EQ(result.status, 0) << result.err;
  expect_words(result.err, {"No tuning file: the deck names no model and batch"});
  EXPECT_GT(read_machine_file(RunFolder::get() / "m" / "bare.in").ops.size(), 10U);
  EXPECT_FALSE(std::filesystem::exists(RunFolder::get() / "m" / "bare.tuning"));
}

// All products of a step are in the file: a run that takes another algorithm for each asks cuBLASLt for none.
TEST(TuningFile, ARunTakesItsAlgorithmsAndRepeatsItsBits) {
  const RunFolder& folder = RunFolder::get();
  measured();
  train("plain", 0, "--train.max_steps=2");
  train("tuned", 0, "--train.max_steps=2 --device.tuning=m/gpu.tuning");
  expect_words(read_file(folder / "tuned" / "log.txt"), {"Products by the tuning file m/gpu.tuning ("});
  EXPECT_EQ(record_of("plain", 2), "");
  EXPECT_EQ(record_of("tuned", 2).substr(32), " m/gpu.tuning");
  const Tuning tuning = read_tuning_file(measured() / "gpu.tuning");
  EXPECT_GE(tuning.products.size(), 12U);
  EXPECT_EQ(tuning.products.count("fp32_nt_64x128x48_to_fp32_a48_b48_c128_align16"), 1U) << tuning_text(tuning);
  if (on_real_gpu()) return;

  write_backward("backward.tuning");
  const std::string options = "--train.max_steps=2 --device.tuning=backward.tuning ";
  train("backward", 0, options), train("again", 0, options);
  const CommandResult ranks = RunFolder::get().strata_with(
      "STRATA_EMULATION_DEVICES=2", 2, "train",
      "--device.kind=cuda --train.validation_sequences=4 --run.folder=ranks --parallel.strategy=zero2 " + options);
  ASSERT_EQ(ranks.status, 0) << ranks.err;
  expect_words(ranks.err, {"Data between GPUs goes by NCCL"});
  EXPECT_NE(checkpoint_difference(folder.checkpoint("plain", 2), folder.checkpoint("backward", 2)), "");
  EXPECT_NE(lasting_metrics(folder / "plain" / "metrics.csv"), lasting_metrics(folder / "backward" / "metrics.csv"));
  EXPECT_EQ(checkpoint_difference(folder.checkpoint("backward", 2), folder.checkpoint("again", 2)), "");
  EXPECT_EQ(lasting_metrics(folder / "ranks" / "metrics.csv"), lasting_metrics(folder / "backward" / "metrics.csv"));
  EXPECT_EQ(record_of("ranks", 2), record_of("backward", 2));
}

TEST(TuningFile, ARestartWithAnotherOneSaysSo) {
  measured();
  train("restart", 0, "--train.max_steps=1 --device.tuning=m/gpu.tuning");
  const auto log_of = [](const std::string& options) {
    const CommandResult result = cuda(0, "train", "--train.validation_sequences=4 --run.folder=restart " + options);
    EXPECT_EQ(result.status, 0) << result.err;
    return result.err;
  };
  const std::string same = log_of("--train.max_steps=2 --device.tuning=" + (measured() / "gpu.tuning").string());
  EXPECT_EQ(same.find("its last bits are those of neither"), std::string::npos) << "the same file by another path\n" << same;
  const std::string none = log_of("--train.max_steps=3");
  expect_words(none, {"it goes on with cuBLASLt's own choice (device.tuning): its last bits are those of neither alone"});
  EXPECT_EQ(record_of("restart", 3), "");
}

TEST(TuningFile, WhatIsWrongWithItIsSaidBeforeTheRun) {
  const RunFolder& folder = RunFolder::get();
  const std::string good = read_file(measured() / "gpu.tuning");
  const auto refused = [&](const std::string& what, const std::string& by, const std::vector<std::string>& words) {
    std::string text = good;
    write_file(folder / "bad.tuning", text.replace(text.find(what), what.size(), by));
    const CommandResult run = cuda(2, "train", "--run.folder=none --device.tuning=bad.tuning"),
                        check = cuda(0, "check", "--run.folder=none --device.tuning=bad.tuning");
    EXPECT_EQ(run.status, 2) << run.err;
    EXPECT_EQ(check.status, 2) << check.out;
    expect_words(run.err, words), expect_words(check.out, words);
    EXPECT_FALSE(std::filesystem::exists(folder / "none" / "checkpoints"));
  };
  const std::size_t line =
      1 + static_cast<std::size_t>(std::count(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(good.find("id ")), '\n'));
  refused("tile ", "tale ", {text("bad.tuning:", line, ": products."), "expected id N, tile N", "found \"id "});
  refused("cublaslt   = ", "cublaslt   = 9", {"the tuning file is of ", ", this is ", "with cuBLASLt 9"});
  const CommandResult none = cuda(0, "train", "--run.folder=none --device.tuning=nowhere.tuning");
  EXPECT_EQ(none.status, 2) << none.err;
  expect_words(none.err, {"device.tuning = nowhere.tuning: expected a tuning file that strata measure has written"});

  const CommandResult check = cuda(0, "check", "--device.tuning=m/gpu.tuning");
  EXPECT_EQ(check.status, 0) << check.out;
  expect_words(check.out, {"device.tuning = m/gpu.tuning: ", " products of ", ", cuBLASLt "});
  const CommandResult on_host = folder.strata(0, "check", "--device.kind=cpu --device.tuning=m/gpu.tuning");
  EXPECT_EQ(on_host.status, 0) << on_host.out;
  expect_words(on_host.out, {"is for device.kind = cuda: not used"});
}

}  // namespace
}  // namespace strata::test
