// Strategies: nothing in the deck but its name, and not the last bit of the result.
#include <gtest/gtest.h>

#include <sstream>

#include "commands/run_fixture.hpp"

namespace strata::test {
namespace {

struct Launch {
  const char* name;
  int ranks;
  const char* options;
};

// Every row of the table on ranks that divide the leaves and on ranks that do not, with groups, ragged rounds, small messages, no units
// gathered ahead and many.
constexpr Launch launches[] = {
    {"zero1-2", 2, "--parallel.strategy=zero1"},
    {"zero1-3", 3, "--parallel.strategy=zero1 --parallel.bucket=4096"},
    {"zero2-2", 2, "--parallel.strategy=zero2"},
    {"zero2-4", 4, "--parallel.strategy=zero2 --parallel.bucket=4096"},
    {"fsdp-1", 1, "--parallel.strategy=fsdp"},
    {"fsdp-2", 2, "--parallel.strategy=fsdp --parallel.prefetch=0"},
    {"fsdp-4", 4, "--parallel.strategy=fsdp --parallel.prefetch=3"},
    {"hybrid-3", 3, "--parallel.strategy=hybrid --parallel.group=1"},
    {"hybrid-4", 4, "--parallel.strategy=hybrid --parallel.group=2"},
    {"hosts-ddp-4", 4, "--parallel.strategy=ddp --parallel.node=2"},
    {"hosts-fsdp-4", 4, "--parallel.strategy=fsdp --parallel.node=2"},
    {"offload-1", 1, "--parallel.offload=parameters"},
    {"offload-2", 2, "--parallel.strategy=fsdp --parallel.offload=optimizer,parameters,activations --parallel.recompute=full"},
    {"offload-3", 3, "--parallel.strategy=zero1 --parallel.offload=optimizer,parameters"},
};

void train(const std::string& run, int ranks, const std::string& options) {
  const CommandResult result = RunFolder::get().strata(ranks, "train", "--run.folder=" + run + " --device.threads=1 " + options);
  ASSERT_EQ(result.status, 0) << run << "\n" << result.err;
}

void expect_equal_runs(const std::string& a, const std::string& b, int step) {
  const RunFolder& folder = RunFolder::get();
  EXPECT_EQ(checkpoint_difference(folder.checkpoint(a, step), folder.checkpoint(b, step)), "") << a << " and " << b;
  EXPECT_EQ(lasting_metrics(folder / a / "metrics.csv"), lasting_metrics(folder / b / "metrics.csv")) << a << " and " << b;
}

void expect_same_bits(const std::string& name, const std::string& options) {
  train(name, 0, options);
  for (const Launch& launch : launches) {
    train(name + launch.name, launch.ranks, options + launch.options);
    expect_equal_runs(name, name + launch.name, 3);
  }
}

// The order of the library: the same training, other bits.
TEST(Strategies, FastTrainsAlikeAndSaysWhatItDoesNotPromise) {
  const RunFolder& folder = RunFolder::get();
  const std::string options = "--train.max_steps=3 --batch.global=10 --checkpoint.every=0 ";
  train("canonical", 0, options);
  EXPECT_NE(read_file(folder / "canonical/log.txt").find("bit for bit, on any number of ranks"), std::string::npos);
  const auto loss = [&](const std::string& run) {
    std::string rows = read_file(folder / run / "metrics.csv");
    rows.resize(rows.find_last_not_of('\n') + 1);
    std::stringstream last(rows.substr(rows.rfind('\n') + 1));
    std::string value;
    for (int column = 0; column < 4; ++column) std::getline(last, value, ',');  // step, epoch, tokens, loss
    return std::stod(value);
  };
  for (const char* strategy : {"ddp", "zero1", "zero2", "fsdp", "hybrid"}) {
    const std::string run = std::string("fast-") + strategy;
    train(run, 3, options + "--parallel.reduction=fast --parallel.group=1 --parallel.strategy=" + strategy);
    EXPECT_NE(read_file(folder / run / "log.txt").find("nothing promises that two runs agree"), std::string::npos);
    EXPECT_NEAR(loss(run), loss("canonical"), 1e-4) << strategy;
  }
}

TEST(Strategies, SameBitsOnAnyRanks) {
  // Five leaves a step: the last round of two, three and four ranks is ragged.
  expect_same_bits("tied", "--train.max_steps=3 --train.validate_every=2 --batch.global=10 --checkpoint.every=0 ");
}

TEST(Strategies, SameBitsForAnUntiedModelInBf16WithBlocksAndClipping) {
  std::string config = read_file(RunFolder::get() / "config.json");
  config.replace(config.find("qwen3"), 5, "llama");
  config.replace(config.find("\"tie_word_embeddings\": true"), 27, "\"tie_word_embeddings\": false");
  write_file(RunFolder::get() / "llama.json", config);
  expect_same_bits("llama",
                   "--model.config=llama.json --precision.compute=bf16 --batch.block=2 --train.clip=0.1 --data.mask_documents=true "
                   "--train.max_steps=3 --train.validate_every=2 --checkpoint.every=0 ");
}

TEST(Strategies, ARunGoesOnUnderAnother) {
  const std::string options = "--train.validate_every=4 ";
  train("undisturbed", 1, options);
  int step = 0;
  for (const char* launch : {"2 ddp", "4 fsdp", "3 zero1", "4 hybrid --parallel.group=2", "2 zero2"})
    train("wandering", launch[0] - '0',
          options + "--parallel.strategy=" + (launch + 2) + " --train.max_steps=" + std::to_string(step += 2));
  expect_equal_runs("undisturbed", "wandering", 10);
}

TEST(Strategies, ShardsTakeLessMemory) {
  const auto arena = [](const char* run) {
    const std::string plan = read_file(RunFolder::get() / run / "plan.txt");
    const std::size_t at = plan.find("  arena");
    return at == std::string::npos ? 0 : std::stoll(plan.substr(at + 7));
  };
  const std::string options = "--train.max_steps=1 --train.validate_every=0 --checkpoint.every=0 --parallel.strategy=";
  for (const char* strategy : {"ddp", "zero1", "fsdp"}) train(std::string("memory-") + strategy, 4, options + strategy);
  EXPECT_LT(arena("memory-zero1"), arena("memory-ddp"));
  EXPECT_LT(arena("memory-fsdp"), arena("memory-zero1"));
}

TEST(Strategies, TheFirstTensorThatIsNotFiniteIsNamedWhereRanksNeedOneAnother) {
  for (const char* strategy : {"zero2", "fsdp"}) {
    const CommandResult result = RunFolder::get().strata(
        3, "train", std::string("--run.folder=nan-") + strategy + " --run.fault=nan:step=2:leaf=4 --parallel.strategy=" + strategy);
    if (result.err.find("run.fault") != std::string::npos && result.status == 2) GTEST_SKIP() << "this build has no fault injection";
    EXPECT_EQ(result.status, 5) << result.err;
    EXPECT_NE(result.err.find("is the loss (sequence 0, token 0: element 0 is nan) of micro-batch 4"), std::string::npos) << result.err;
  }
}

TEST(Strategies, GroupsThatDoNotDivideTheRanksAreRefused) {
  const CommandResult result = RunFolder::get().strata(3, "train", "--run.folder=odd --parallel.strategy=hybrid --parallel.group=2");
  EXPECT_EQ(result.status, 2) << result.err;
  EXPECT_NE(result.err.find("3 ranks do not divide into groups of 2 (parallel.group)"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace strata::test
