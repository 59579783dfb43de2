// Runs with device.kind = cuda, on the host emulation or on a GPU: what lacks is named, runs follow the host's within the spread of
// rounding, the same bits again and after a restart, and checkpoints go from one device to the other.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "commands/run_fixture.hpp"
#include "strata/base/error.hpp"

namespace strata::test {
namespace {

CommandResult cuda(const std::string& environment, int ranks, const std::string& command, const std::string& options) {
  return RunFolder::get().strata_with(environment, ranks, command, "--device.kind=cuda " + options);
}

void expect_refused(const CommandResult& result, int status, const std::string& words) {
  EXPECT_EQ(result.status, status) << result.err;
  EXPECT_NE(result.err.find(words), std::string::npos) << result.err;
}

// Column `number` (from 0) of metrics.csv, of the rows that have it.
std::vector<double> column(const std::string& run, int number) {
  std::istringstream rows(read_file(RunFolder::get() / run / "metrics.csv"));
  std::vector<double> values;
  std::string row;
  for (std::getline(rows, row); std::getline(rows, row);) {
    std::istringstream cells(row);
    std::string cell;
    for (int i = 0; i <= number; ++i) std::getline(cells, cell, ',');
    if (!cell.empty()) values.push_back(std::stod(cell));
  }
  return values;
}

void train(const std::string& run, int ranks, const std::string& options) {
  const CommandResult result = cuda("", ranks, "train", "--run.folder=" + run + " " + options);
  ASSERT_EQ(result.status, 0) << run << "\n" << result.err;
}

TEST(CudaMissing, WithoutTheCudaHalfTheDeckIsRefused) {
  expect_refused(cuda("STRATA_CUDA_LIBRARY=/nowhere/libstrata_cuda.so", 0, "train", "--run.folder=none"), 2,
                 "this program's CUDA half could not be loaded");
  EXPECT_FALSE(std::filesystem::exists(RunFolder::get() / "none" / "checkpoints"));
}

TEST(CudaMissing, ALibraryThatIsNotTheCudaHalfIsNamed) {
  expect_refused(cuda("STRATA_CUDA_LIBRARY=libm.so.6", 0, "train", "--run.folder=none"), 2, "libm.so.6 is not the CUDA half of strata");
}

TEST(CudaMissing, AutoTakesTheHostWhereThereIsNoGpu) {
  const RunFolder& folder = RunFolder::get();
  for (const char* lacking : {"STRATA_CUDA_LIBRARY=/nowhere/libstrata_cuda.so", "STRATA_EMULATION_DEVICES=0"}) {
    if (on_real_gpu() && std::string(lacking).find("EMULATION") != std::string::npos) continue;
    const CommandResult result =
        folder.strata_with(lacking, 2, "train", "--device.kind=auto --run.folder=auto --run.resume=never --train.max_steps=1");
    EXPECT_EQ(result.status, 0) << result.err;
    EXPECT_NE(result.err.find("f32 on cpu"), std::string::npos) << result.err;
  }
}

// Silence is for hosts without a GPU, or a build without CUDA.
TEST(CudaMissing, AutoSaysWhyItLeavesAGpuAlone) {
  if (on_real_gpu()) GTEST_SKIP() << "a real GPU is there";
  const RunFolder& folder = RunFolder::get();
  const struct {
    const char *environment, *words;
  } cases[] = {{"STRATA_EMULATION_DRIVER=11080", "the NVIDIA driver of this host serves CUDA up to 11.8"},
               {"STRATA_EMULATION_DRIVER=0", "no NVIDIA driver on this host"},
               {"STRATA_EMULATION_ARCH=75", "of compute capability 7.5; strata needs 8.0"},
               {"STRATA_EMULATION_MEMORY=0", "cannot be used: out of memory"},
               {"STRATA_CUDA_LIBRARY=libm.so.6", "is not the CUDA half of strata"},
               {"STRATA_CUDA_LIBRARY=/nowhere/libstrata_cuda.so", "CUDA half could not be loaded"}};
  for (const auto& [environment, words] : cases) {
    const CommandResult check = folder.strata_with(environment, 0, "check", "--device.kind=auto --json");
    EXPECT_EQ(check.status, 0) << check.out;
    EXPECT_NE(check.out.find("device.auto"), std::string::npos) << environment << "\n" << check.out;
    EXPECT_NE(check.out.find(words), std::string::npos) << environment << "\n" << check.out;
  }
  const std::string options = "--device.kind=auto --run.resume=never --train.max_steps=1 --run.folder=";
  const CommandResult run = folder.strata_with(cases[0].environment, 2, "train", options + "old-driver");
  EXPECT_EQ(run.status, 0) << run.err;
  const std::string log = read_file(folder / "old-driver" / "log.txt");
  EXPECT_NE(log.find("device.kind = auto takes the host: rank 0 on "), std::string::npos) << log;
  EXPECT_NE(log.find(cases[0].words), std::string::npos) << log;
  const CommandResult none = folder.strata_with("STRATA_EMULATION_DEVICES=0", 2, "train", options + "no-gpu");
  EXPECT_EQ(none.status, 0) << none.err;
  EXPECT_EQ(read_file(folder / "no-gpu" / "log.txt").find("takes the host"), std::string::npos);
  expect_refused(cuda("STRATA_EMULATION_MEMORY=0", 0, "train", "--run.folder=none"), 4, "cannot be used: out of memory");
}

TEST(CudaMissing, HostsWithoutAGpuAndOldGpusAreNamed) {
  if (on_real_gpu()) GTEST_SKIP() << "a real GPU is there";
  expect_refused(cuda("STRATA_EMULATION_DEVICES=0", 2, "train", "--run.folder=none"), 4, "no GPU on this host");
  expect_refused(cuda("STRATA_EMULATION_ARCH=75", 0, "train", "--run.folder=none"), 4, "of compute capability 7.5; strata needs 8.0");
}

TEST(CudaMissing, CheckSaysSoAndPlanNeedsNone) {
  const RunFolder& folder = RunFolder::get();
  const std::string without = "STRATA_CUDA_LIBRARY=/nowhere/libstrata_cuda.so";
  const CommandResult check = folder.strata_with(without, 0, "check", "--device.kind=cuda");
  EXPECT_EQ(check.status, 2) << check.out;
  EXPECT_NE(check.out.find("CUDA half could not be loaded"), std::string::npos) << check.out;
  const CommandResult plan = folder.strata_with(without, 0, "plan", "--device.kind=cuda --checkpoint.asynchronous=false");
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_EQ(plan.out.find("workspace.threads"), std::string::npos) << plan.out;
  EXPECT_NE(plan.out.find("A rank's GPU needs "), std::string::npos) << plan.out;
  EXPECT_NE(plan.out.find("A host needs 0 "), std::string::npos) << "what lies on the GPU is not the host's: " << plan.out;
  const CommandResult fp16 = folder.strata_with(without, 0, "plan", "--device.kind=cuda --precision.compute=fp16");
  EXPECT_EQ(fp16.status, 0) << fp16.err;
  EXPECT_NE(fp16.out.find("optimizer.master"), std::string::npos) << fp16.out;
}

// The models that a GPU's kernels have no room for are named by every command, whether a GPU is there or not.
TEST(CudaLimits, WideHeadsAndNormsAreNamedBeforeTheRun) {
  const RunFolder& folder = RunFolder::get();
  std::string config = read_file(folder / "config.json");
  const auto replaced = [&](const std::string& key, const std::string& value) {
    std::string other = config;
    const std::size_t at = other.find("\"" + key + "\": ") + key.size() + 4;
    return other.replace(at, other.find(',', at) - at, value);
  };
  write_file(folder / "heads.json", replaced("head_dim", "258"));
  write_file(folder / "wide.json", replaced("hidden_size", "16386"));
  const std::string heads = "attention heads have 258 elements, on a GPU they have at most 256";
  for (const char* strategy : {"", " --parallel.strategy=auto"}) {
    const CommandResult check = cuda("", 0, "check", text("--model.config=heads.json", strategy));
    EXPECT_EQ(check.status, 2) << check.out;
    EXPECT_NE(check.out.find(heads), std::string::npos) << check.out;
    EXPECT_EQ(check.out.find("internal"), std::string::npos) << check.out;
    expect_refused(cuda("", 2, "train", text("--run.folder=none --model.config=heads.json", strategy)), 2, heads);
  }
  expect_refused(cuda("", 0, "plan", "--model.config=heads.json"), 2, heads);
  const std::string norms = "norms take 16386 elements at once, on a GPU in ";
  expect_refused(cuda("", 0, "plan", "--model.config=wide.json"), 2, norms + "fp32 at most 16384");
  EXPECT_EQ(cuda("", 0, "plan", "--model.config=wide.json --precision.compute=bf16").status % 4, 0) << "32,768 in bf16";
  EXPECT_EQ(cuda("", 0, "check", "--model.config=heads.json --device.kind=cpu").status, 0);

  const CommandResult trained =
      folder.strata(0, "train", "--device.kind=cpu --model.config=heads.json --run.folder=heads --train.max_steps=1");
  ASSERT_EQ(trained.status, 0) << trained.err;
  expect_refused(cuda("", 0, "evaluate", "--run.folder=heads"), 2, heads);
  expect_refused(cuda("", 0, "generate", "--run.folder=heads --generate.prompts=the"), 2, heads);
}

TEST(CudaMissing, Fp16WantsAGpu) {
  const RunFolder& folder = RunFolder::get();
  const std::string fp16 = "--precision.compute=fp16 --run.folder=none ";
  const CommandResult check = folder.strata(0, "check", fp16 + "--device.kind=cpu");
  EXPECT_EQ(check.status, 2) << check.out;
  EXPECT_NE(check.out.find("expected bf16, fp32 or fp64 on cpu"), std::string::npos) << check.out;
  expect_refused(folder.strata(0, "train", fp16 + "--device.kind=cpu"), 2, "runs on cuda only, and there is device.kind = cpu");
  const std::string without = "STRATA_CUDA_LIBRARY=/nowhere/libstrata_cuda.so";
  expect_refused(folder.strata_with(without, 2, "train", fp16 + "--device.kind=auto"), 2,
                 "expected bf16, fp32 or fp64 on cpu; device.kind = auto takes the host: rank 0 on ");
  const CommandResult settled = folder.strata_with(without, 0, "check", fp16 + "--device.kind=auto");
  EXPECT_EQ(settled.status, 2) << settled.out;
  EXPECT_NE(settled.out.find("runs on cuda only"), std::string::npos) << settled.out;
}

TEST(CudaMemory, AGpuThatIsTooSmallIsSaidBeforeTheRun) {
  if (on_real_gpu()) GTEST_SKIP() << "a real GPU's memory cannot be set";
  expect_refused(cuda("STRATA_EMULATION_MEMORY=4000000", 0, "train", "--run.folder=small"), 4, "on each GPU");
}

TEST(Cuda, FollowsTheHostAndGivesTheSameBitsAgain) {
  const RunFolder& folder = RunFolder::get();
  const CommandResult host = folder.strata(0, "train", "--device.kind=cpu --run.folder=host --train.max_steps=4");
  ASSERT_EQ(host.status, 0) << host.err;
  train("first", 0, "--train.max_steps=4");
  train("again", 0, "--train.max_steps=4");

  EXPECT_EQ(checkpoint_difference(folder.checkpoint("first", 4), folder.checkpoint("again", 4)), "");
  const std::vector<double> expected = column("host", 3), found = column("first", 3);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-4 * expected[i]) << "step " << i + 1;
  EXPECT_NEAR(column("first", 4)[0], column("host", 4)[0], 1e-3 * column("host", 4)[0]) << "gradient norm";
}

TEST(Cuda, Bf16FollowsTheHostWithinItsSpread) {
  const std::string options = "--precision.compute=bf16 --data.mask_documents=true --train.max_steps=3 ";
  const CommandResult host = RunFolder::get().strata(0, "train", "--device.kind=cpu --run.folder=bf16-host " + options);
  ASSERT_EQ(host.status, 0) << host.err;
  train("bf16", 0, options);
  const std::vector<double> expected = column("bf16-host", 3), found = column("bf16", 3);
  ASSERT_EQ(found.size(), 3u);
  ASSERT_EQ(expected.size(), 3u);
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 5e-3 * expected[i]) << "step " << i + 1;
}

TEST(CudaFp16, FollowsTheHostsFp32WithinItsSpread) {
  const std::string options = "--data.mask_documents=true --train.max_steps=3 --train.validation_sequences=4 ";
  const CommandResult host = RunFolder::get().strata(0, "train", "--device.kind=cpu --run.folder=fp16-host " + options);
  ASSERT_EQ(host.status, 0) << host.err;
  train("fp16", 0, "--precision.compute=fp16 " + options);
  for (const int number : {3, 4}) {
    const std::vector<double> expected = column("fp16-host", number), found = column("fp16", number);
    ASSERT_EQ(found.size(), 3u);
    ASSERT_EQ(expected.size(), 3u);
    for (std::size_t i = 0; i < found.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], (number == 3 ? 1e-3 : 2e-2) * expected[i]) << "step " << i + 1 << ", column " << number;
  }
}

// A scale of 2^32 makes the loss's gradients infinite. From 2^16 on it rises every second update.
TEST(CudaFp16, ARunFindsItsScaleAndKeepsItOverARestartAndOnAnyRanks) {
  const RunFolder& folder = RunFolder::get();
  const std::string options =
      "--precision.compute=fp16 --precision.initial_scale=4294967296 --precision.scale_backoff=1.52587890625e-05 "
      "--precision.scale_window=2 --train.validation_sequences=4 ";
  train("scaled", 0, options + "--train.max_steps=4");
  train("scaled-parts", 0, options + "--train.max_steps=2");
  train("scaled-parts", 0, options + "--train.max_steps=4");
  train("scaled-ranks", 2, options + "--train.max_steps=4 --parallel.strategy=zero2");

  const std::string log = read_file(folder / "scaled" / "log.txt"), parts = read_file(folder / "scaled-parts" / "log.txt");
  EXPECT_NE(log.find("Step 1: scaled gradients overflow"), std::string::npos) << log;
  EXPECT_NE(log.find("The update is skipped (1 in all); loss scale 65536"), std::string::npos) << log;
  EXPECT_NE(log.find("Loss scale 131072 after step 3"), std::string::npos) << log;
  EXPECT_NE(parts.find("Loss scale 131072 after step 3"), std::string::npos) << parts;
  // The step that overflows has a loss, and no rate is used up by it: a warm-up of two steps begins with 0.
  const std::vector<double> losses = column("scaled", 3), norms = column("scaled", 4), rates = column("scaled", 5);
  ASSERT_EQ(losses.size(), 4u);
  for (const double loss : losses) EXPECT_TRUE(std::isfinite(loss));
  EXPECT_EQ(rates, (std::vector<double>{0, 0, 3e-3 / 2, 3e-3}));
  for (std::size_t i = norms.size() - 3; i < norms.size(); ++i) EXPECT_TRUE(std::isfinite(norms[i]));

  EXPECT_EQ(checkpoint_difference(folder.checkpoint("scaled", 4), folder.checkpoint("scaled-parts", 4)), "");
  EXPECT_EQ(lasting_metrics(folder / "scaled" / "metrics.csv"), lasting_metrics(folder / "scaled-ranks" / "metrics.csv"));
  const CommandResult diff = run_command("h5diff --exclude-path /run '" + folder.checkpoint("scaled", 4).string() + "' '" +
                                         folder.checkpoint("scaled-ranks", 4).string() + "'");
  EXPECT_EQ(diff.status, 0) << diff.out;
}

TEST(CudaFp16, AScaleThatCannotFallEndsTheRun) {
  const CommandResult result = cuda("", 0, "train",
                                    "--run.folder=exhausted --precision.compute=fp16 --precision.initial_scale=1099511627776 "
                                    "--precision.smallest_scale=1099511627776 --train.non_finite=skip");
  EXPECT_EQ(result.status, 5) << result.err;
  for (const char* words : {"step 1: loss", "The first tensor that is not finite is ", "which cannot fall below precision.smallest_scale"})
    EXPECT_NE(result.err.find(words), std::string::npos) << words << "\n" << result.err;
}

TEST(CudaFp16, ItsCheckpointsAreForEveryTypeAndItTakesThoseOfOthers) {
  const RunFolder& folder = RunFolder::get();
  train("fp16-first", 0, "--precision.compute=fp16 --train.max_steps=2 --train.validation_sequences=4");
  const std::string checkpoint = folder.checkpoint("fp16-first", 2).string();
  const auto loss_of = [](const CommandResult& result) {
    return result.out.rfind("loss ", 0) == 0 ? std::stod(result.out.substr(5)) : std::nan("");
  };
  const std::string evaluate = "--evaluate.checkpoint=" + checkpoint;
  const double here = loss_of(folder.strata(0, "evaluate", "--device.kind=cpu " + evaluate)),
               there = loss_of(cuda("", 0, "evaluate", "--precision.compute=fp16 " + evaluate));
  EXPECT_NEAR(there, here, 1e-3 * here);

  const CommandResult bf16 = folder.strata(0, "train",
                                           "--device.kind=cpu --precision.compute=bf16 --train.max_steps=1 --run.folder=bf16-second "
                                           "--model.weights=" +
                                               checkpoint);
  ASSERT_EQ(bf16.status, 0) << bf16.err;
  EXPECT_NEAR(column("bf16-second", 3)[0], here, 0.05 * here);
  train("fp16-third", 0,
        "--precision.compute=fp16 --train.max_steps=1 --train.validation_sequences=4 --model.weights=" +
            folder.checkpoint("bf16-second", 1).string());
  EXPECT_NEAR(column("fp16-third", 3)[0], column("bf16-second", 3)[0], 0.05 * here);
}

TEST(Cuda, ARestartChangesNothingAndDevicesShareCheckpoints) {
  const RunFolder& folder = RunFolder::get();
  train("whole", 0, "--train.max_steps=6 --checkpoint.every=3");
  train("halves", 0, "--train.max_steps=3 --checkpoint.every=3");
  train("halves", 0, "--train.max_steps=6 --checkpoint.every=3");
  EXPECT_EQ(checkpoint_difference(folder.checkpoint("whole", 6), folder.checkpoint("halves", 6)), "");

  const CommandResult on_host = folder.strata(0, "train", "--device.kind=cpu --run.folder=halves --train.max_steps=8");
  EXPECT_EQ(on_host.status, 0) << on_host.err;
  EXPECT_NE(on_host.err.find("Resuming from"), std::string::npos) << on_host.err;
}

struct RankedRun {
  int ranks;
  const char* options;
};

TEST(Cuda, SameBitsUnderEveryStrategyAndOffload) {
  const RunFolder& folder = RunFolder::get();
  train("single", 0, "--train.max_steps=2");
  const RankedRun runs[] = {{2, "--parallel.strategy=ddp"},
                            {2, "--parallel.strategy=zero1"},
                            {2, "--parallel.strategy=zero2"},
                            {2, "--parallel.strategy=fsdp"},
                            {2, "--parallel.strategy=fsdp --parallel.offload=optimizer,activations --parallel.recompute=selective"},
                            {2, "--parallel.strategy=fsdp --parallel.offload=optimizer,parameters"},
                            {2, "--parallel.strategy=zero1 --parallel.offload=parameters"},
                            {4, "--parallel.strategy=ddp"},
                            {4, "--parallel.strategy=zero2"},
                            {4, "--parallel.strategy=hybrid --parallel.group=2"}};
  const bool nccl = std::getenv("STRATA_EMULATION_DEVICES") != nullptr;
  int number = 0;
  for (const auto& [ranks, options] : runs) {
    if (ranks > 2 && !nccl && !on_real_gpu()) continue;  // four ranks: where data goes by NCCL
    const std::string run = "ranks" + std::to_string(number++);
    train(run, ranks, std::string("--train.max_steps=2 ") + options);
    if (!on_real_gpu()) {
      const std::string way = nccl ? "Data between GPUs goes by" : std::to_string(ranks) + " ranks share GPU";
      EXPECT_NE(read_file(folder / run / "log.txt").find(way), std::string::npos) << way << " is not in the log of " << options;
    }
    const CommandResult diff = run_command("h5diff --exclude-path /run '" + folder.checkpoint("single", 2).string() + "' '" +
                                           folder.checkpoint(run, 2).string() + "'");
    EXPECT_EQ(diff.status, 0) << options << "\n" << diff.out;
  }
}

// Sums in the order of NCCL, or of MPI: not the canonical bits, but the same numbers within rounding.
TEST(Cuda, FastReductionStaysWithinRounding) {
  const std::string options = "--train.max_steps=3 --parallel.reduction=";
  train("canonical", 2, options + "canonical");
  const std::vector<double> truth = column("canonical", 3);
  ASSERT_EQ(truth.size(), 3U);
  for (const char* strategy : {"ddp", "fsdp"}) {
    const std::string run = std::string("fast-") + strategy;
    train(run, 2, options + "fast --parallel.strategy=" + strategy);
    EXPECT_NE(read_file(RunFolder::get() / run / "log.txt").find("Sums of gradients: fast"), std::string::npos) << strategy;
    const std::vector<double> losses = column(run, 3);
    ASSERT_EQ(losses.size(), truth.size());
    for (std::size_t i = 0; i < truth.size(); ++i) EXPECT_NEAR(losses[i], truth[i], 2e-5 * truth[i]) << strategy << ", step " << i + 1;
  }
}

TEST(Cuda, PlanKnowsWhatIsBesideTheArena) {
  if (on_real_gpu()) GTEST_SKIP() << "a real GPU's number is not set";
  const RunFolder& folder = RunFolder::get();
  train("staged", 2, "--train.max_steps=1 --parallel.strategy=fsdp");
  const std::string plan = read_file(folder / "staged" / "plan.txt");
  for (const char* words : {"staging of data between GPUs", "an allowance, only where NCCL", "bytes, page-locked; foreseen "})
    EXPECT_NE(plan.find(words), std::string::npos) << words << "\n" << plan;
  const auto number_after = [&](const char* words) {
    const std::size_t at = plan.find(words);
    return at == std::string::npos ? -1.0 : std::atof(plan.c_str() + at + std::strlen(words));
  };
  const double foreseen = number_after("foreseen "), came = number_after("  staging                   ");
  EXPECT_EQ(foreseen, number_after("staging of data between GPUs"));
  EXPECT_GE(foreseen, 65536);
  EXPECT_GE(came, foreseen / 2) << "ranks that are late have more under way, never much less";
  EXPECT_EQ(cuda("", 0, "plan", "").out.find("staging of data"), std::string::npos) << "one rank sends nothing";
}

// A kernel of NCCL that waits for ever would hold the process in the driver.
TEST(Cuda, TheWatchdogGivesNcclUpBeforeItEndsTheProcess) {
  if (on_real_gpu()) GTEST_SKIP() << "NCCL hangs at will on the emulation only";
  const CommandResult result = cuda("STRATA_EMULATION_DEVICES=2 STRATA_EMULATION_NCCL_HANG=2", 2, "train",
                                    "--run.folder=hangs --parallel.timeout=10 --train.max_steps=3");
  EXPECT_EQ(result.status, 6) << result.err;
  EXPECT_NE(result.err.find("parallel.timeout = 10 s has passed"), std::string::npos) << result.err;
  EXPECT_NE(result.err.find("emulation: NCCL gives up a group that hangs, as rank"), std::string::npos) << result.err;
}

TEST(Cuda, EvaluatesAndGeneratesAsTheHostDoes) {
  const RunFolder& folder = RunFolder::get();
  train("trained", 0, "--train.max_steps=2");
  const std::string checkpoint = folder.checkpoint("trained", 2).string();
  const auto loss_of = [](const CommandResult& result) {
    return result.out.rfind("loss ", 0) == 0 ? std::stod(result.out.substr(5)) : std::nan("");
  };
  const CommandResult here = folder.strata(0, "evaluate", "--device.kind=cpu --evaluate.checkpoint=" + checkpoint),
                      there = cuda("", 0, "evaluate", "--evaluate.checkpoint=" + checkpoint);
  EXPECT_NEAR(loss_of(there), loss_of(here), 1e-4) << there.err;

  const std::string prompt =
      "--generate.temperature=0 --generate.max_new_tokens=8 --generate.prompts='the old clock' --generate.checkpoint=" + checkpoint;
  const CommandResult text_here = folder.strata(0, "generate", "--device.kind=cpu " + prompt), text_there = cuda("", 0, "generate", prompt);
  EXPECT_EQ(text_there.status, 0) << text_there.err;
  EXPECT_EQ(text_there.out, text_here.out);
}

}  // namespace
}  // namespace strata::test
