// evaluate, generate, convert, inspect, keys and prepare as a user types them.
#include <algorithm>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "commands/run_fixture.hpp"
#include "strata/base/error.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;

// A trained run all tests of this file share.
const RunFolder& trained() {
  static const bool done = [] {
    const CommandResult result =
        RunFolder::get().strata(2, "train", "--run.folder=trained --train.max_steps=30 --schedule.steps=30 --checkpoint.every=10");
    if (result.status != 0) throw std::runtime_error(result.err);
    return true;
  }();
  (void)done;
  return RunFolder::get();
}

TEST(Evaluate, GivesTheRunsValidationLossOnAnyRanks) {
  const RunFolder& folder = trained();
  const std::string metrics = lasting_metrics(folder / "trained" / "metrics.csv");
  const double expected = std::stod(metrics.substr(metrics.rfind(',') + 1));

  std::vector<double> losses;
  for (int ranks : {0, 2, 3}) {
    const CommandResult result = folder.strata(ranks, "evaluate", "--run.folder=trained --json");
    ASSERT_EQ(result.status, 0) << result.err;
    losses.push_back(nlohmann::json::parse(result.out).at("loss").get<double>());
  }

  for (double loss : losses) EXPECT_EQ(loss, expected);
  EXPECT_TRUE(fs::exists(folder / "trained" / "evaluation.json"));
}

TEST(Generate, GreedyIsTheSameWhateverTheBatch) {
  const RunFolder& folder = trained();
  write_file(folder / "prompts.txt", "the sailor\nmy neighbour counts\na quiet engineer repairs the\n");
  const auto run = [&](const std::string& options) {
    const CommandResult result =
        folder.strata(0, "generate", "--run.folder=trained --generate.prompts=prompts.txt --generate.max_new_tokens=20 --json " + options);
    EXPECT_EQ(result.status, 0) << result.err;
    return result.out;
  };

  const std::string one = run("--generate.temperature=0 --generate.batch=1"), three = run("--generate.temperature=0 --generate.batch=3");

  EXPECT_EQ(one, three);
  EXPECT_EQ(std::count(one.begin(), one.end(), '\n'), 3);
}

TEST(Generate, SamplingRepeatsWithItsSeedAndStops) {
  const RunFolder& folder = trained();
  const auto run = [&](const std::string& options) {
    return folder.strata(0, "generate", "--run.folder=trained --generate.prompts='the old clock' --generate.max_new_tokens=30 " + options)
        .out;
  };

  EXPECT_EQ(run("--run.seed=7"), run("--run.seed=7"));
  EXPECT_NE(run("--run.seed=7"), run("--run.seed=8"));
  const std::string stopped = run("--generate.temperature=0 --generate.stop=and");
  EXPECT_EQ(stopped.find("and"), std::string::npos) << stopped;
}

TEST(Convert, AModelSurvivesTheRoundTrip) {
  const RunFolder& folder = trained();
  const CommandResult out = folder.strata(0, "convert", "--convert.from=trained/checkpoints --convert.to=hf --convert.dtype=fp32");
  ASSERT_EQ(out.status, 0) << out.err;
  EXPECT_TRUE(fs::exists(folder / "hf" / "model.safetensors"));
  EXPECT_TRUE(fs::exists(folder / "hf" / "tokenizer.model"));
  const CommandResult back = folder.strata(0, "convert", "--convert.from=hf --convert.to=back.h5 --convert.dtype=fp32");
  ASSERT_EQ(back.status, 0) << back.err;

  const CommandResult diff =
      run_command("h5diff '" + folder.checkpoint("trained", 30).string() + "' '" + (folder / "back.h5").string() + "' /model");
  EXPECT_EQ(diff.status, 0) << diff.out;
}

TEST(Convert, ABertModelSurvivesTheRoundTrip) {
  const TemporaryFolder folder;
  const fs::path bert = data_file("models") / "bert-qa";
  write_file(folder / "c.in", "");
  const auto convert = [&](const fs::path& from, const fs::path& to) {
    return run_command(text("'", binary(), "' convert '", (folder / "c.in").string(),
                            "' --convert.dtype=fp32 '--convert.from=", from.string(), "' '--convert.to=", to.string(), "'"));
  };
  const CommandResult in = convert(bert, folder / "ck/step_000000.h5");
  ASSERT_EQ(in.status, 0) << in.err;
  const CommandResult out = convert(folder / "ck", folder / "hf");
  ASSERT_EQ(out.status, 0) << out.err;
  EXPECT_EQ(read_file(folder / "hf/model.safetensors"), read_file(bert / "model.safetensors"));
  const CommandResult inspected = run_command("'" + binary() + "' inspect '" + (folder / "hf").string() + "' --verify");
  EXPECT_EQ(inspected.status, 0) << inspected.err;
  EXPECT_NE(inspected.out.find("bert for question answering, 2 layers, hidden size 36"), std::string::npos) << inspected.out;

  write_file(folder / "tokenizer.model", "");
  const CommandResult refused = run_command(text("'", binary(), "' generate '", (folder / "c.in").string(),
                                                 "' '--tokenizer.path=", (folder / "tokenizer.model").string(),
                                                 "' --generate.prompts=x '--generate.checkpoint=", (folder / "hf").string(), "'"));
  EXPECT_EQ(refused.status, 3);
  EXPECT_NE(refused.err.find("generate works with causal language models (qwen3, llama, mistral); weights of"), std::string::npos)
      << refused.err;
}

TEST(Inspect, TellsWhatAFileIsAndFindsDamage) {
  const RunFolder& folder = trained();
  const std::string path = folder.checkpoint("trained", 30).string();
  const CommandResult sound = run_command("'" + binary() + "' inspect '" + path + "' --verify");
  EXPECT_EQ(sound.status, 0) << sound.err;
  EXPECT_NE(sound.out.find("every checksum agrees"), std::string::npos) << sound.out;
  EXPECT_EQ(nlohmann::json::parse(run_command("'" + binary() + "' inspect '" + path + "' --json").out).at("step"), 30);
  EXPECT_EQ(run_command("'" + binary() + "' inspect '" + (folder / "train.h5").string() + "' --verify").status, 0);

  std::string bytes = read_file(path);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 4);
  write_file(folder / "flipped.h5", bytes);
  const CommandResult damaged = run_command("'" + binary() + "' inspect '" + (folder / "flipped.h5").string() + "' --verify");
  EXPECT_EQ(damaged.status, 3) << damaged.out;
}

TEST(Prepare, MakesTheSameFileOnAnyRanks) {
  const RunFolder& folder = RunFolder::get();
  for (int ranks : {1, 3}) {
    const std::string n = std::to_string(ranks);
    const CommandResult result =
        folder.strata(ranks, "prepare", "--tokenizer.train=false --prepare.output=p" + n + ".h5 --prepare.validation_output=v" + n + ".h5");
    ASSERT_EQ(result.status, 0) << result.err;
  }
  EXPECT_EQ(read_file(folder / "p1.h5"), read_file(folder / "p3.h5"));
  EXPECT_EQ(read_file(folder / "v1.h5"), read_file(folder / "v3.h5"));
}

TEST(CommandLine, HelpVersionAndMistakes) {
  const std::string strata = "'" + binary() + "' ";
  EXPECT_EQ(run_command(strata + "--help").status, 0);
  EXPECT_EQ(run_command(strata + "--version").status, 0);
  EXPECT_EQ(run_command(strata + "").status, 2);
  for (const char* command : {"prepare", "train", "check", "evaluate", "generate", "convert", "measure", "inspect", "keys"})
    EXPECT_EQ(run_command(strata + command + " --help").status, 0) << command;
  const CommandResult typo = run_command(strata + "trian x.in");
  EXPECT_EQ(typo.status, 2);
  EXPECT_NE(typo.err.find("did you mean \"train\""), std::string::npos) << typo.err;
  EXPECT_EQ(run_command(strata + "train --nonsense").status, 2);
  EXPECT_EQ(run_command(strata + "train gone.in").status, 2);
  EXPECT_NE(run_command(strata + "keys optimizer").out.find("lr"), std::string::npos);
}

}  // namespace
}  // namespace strata::test
