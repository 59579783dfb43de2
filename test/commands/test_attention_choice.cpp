// device.attention = cudnn: runs repeat their bits on any ranks, with graphs and after a restart; memory is foreseen without cuDNN; what
// cannot be had is refused before the run; strata measure says which kernels are faster.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "commands/run_fixture.hpp"
#include "strata/checkpoint/reader.hpp"

namespace strata::test {
namespace {

const RunFolder& folder() {
  return RunFolder::get();
}

constexpr const char* narrow = "--device.kind=cuda --precision.compute=bf16 ";
constexpr const char* cudnn = "--device.attention=cudnn ";

CommandResult on_cuda(int ranks, const std::string& command, const std::string& options, const std::string& environment = "") {
  return folder().strata_with(environment, ranks, command, narrow + options);
}

void expect_words(const std::string& found, const std::vector<std::string>& words) {
  for (const std::string& word : words) EXPECT_NE(found.find(word), std::string::npos) << word << "\n" << found;
}

CommandResult train(const std::string& run, int ranks, const std::string& options, const std::string& environment = "") {
  CommandResult result = on_cuda(ranks, "train", "--train.validation_sequences=4 --run.folder=" + run + " " + options, environment);
  EXPECT_EQ(result.status, 0) << run << "\n" << result.err;
  return result;
}

std::string record_of(const std::string& run, int step) {
  const CheckpointReader checkpoint(folder().checkpoint(run, step));
  const auto& extra = checkpoint.run().extra;
  const auto found = extra.find("device.attention");
  return found == extra.end() ? "" : found->second;
}

void expect_same(const std::string& a, const std::string& b, int step) {
  EXPECT_EQ(checkpoint_difference(folder().checkpoint(a, step), folder().checkpoint(b, step)), "") << a << " and " << b;
  EXPECT_EQ(lasting_metrics(folder() / a / "metrics.csv"), lasting_metrics(folder() / b / "metrics.csv")) << a << " and " << b;
}

/// The program's CUDA half, real or emulated, may be without cuDNN.
bool cudnn_is_here() {
  static const CommandResult result = on_cuda(0, "check", std::string(cudnn) + "--run.folder=none");
  return result.status == 0;
}

class AttentionChoice : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cudnn_is_here()) {
      ASSERT_TRUE(on_real_gpu());
      GTEST_SKIP() << "no cuDNN";
    }
  }
};

TEST_F(AttentionChoice, ARunRepeatsItsBitsOnAnyRanksWithGraphsAndAfterARestart) {
  const std::string options = std::string(cudnn) + "--train.max_steps=3 ";
  train("own", 0, "--train.max_steps=3 --device.graphs=off");
  const CommandResult plain = train("plain", 0, options + "--device.graphs=off");
  expect_words(plain.err, {"Attention by cuDNN 9."});
  EXPECT_NE(lasting_metrics(folder() / "own" / "metrics.csv"), lasting_metrics(folder() / "plain" / "metrics.csv"));
  EXPECT_EQ(record_of("own", 3), "");
  EXPECT_EQ(record_of("plain", 3).substr(0, 8), "cudnn 9.");

  expect_words(train("graphs", 0, options + "--device.graphs=on").err, {"CUDA graphs: a micro-batch is "});
  expect_same("plain", "graphs", 3);
  train("ranks", 2, options + "--parallel.strategy=zero2", "STRATA_EMULATION_DEVICES=2");
  expect_same("plain", "ranks", 3);
  train("parts", 0, std::string(cudnn) + "--train.max_steps=1"), train("parts", 0, options);
  expect_same("plain", "parts", 3);
}

TEST_F(AttentionChoice, ARestartWithAnotherChoiceSaysSo) {
  train("changed", 0, std::string(cudnn) + "--train.max_steps=1");
  const CommandResult result = train("changed", 0, "--train.max_steps=2");
  expect_words(result.err,
               {"had the attention of cudnn 9.", ", it goes on with own (device.attention): its last bits are those of neither"});
  EXPECT_EQ(record_of("changed", 2), "");
}

TEST_F(AttentionChoice, MemoryIsForeseenWithoutCudnn) {
  const CommandResult here = on_cuda(0, "plan", cudnn), own = on_cuda(0, "plan", "");
  const CommandResult on_login_node = on_cuda(0, "plan", cudnn, "STRATA_CUDA_LIBRARY=/nowhere.so");
  ASSERT_EQ(on_login_node.status, 0) << on_login_node.err;
  // To the arena's sum; what follows tells of the host's free memory, which changes.
  const auto arena = [](const CommandResult& plan) {
    const std::size_t sum = plan.out.find("\n  arena ");
    return sum == std::string::npos ? "no arena in\n" + plan.out + plan.err : plan.out.substr(0, plan.out.find('\n', sum + 1));
  };
  EXPECT_EQ(arena(on_login_node), arena(here));
  EXPECT_NE(arena(own), arena(here)) << "cuDNN's workspace is none of it";
  EXPECT_EQ(arena(here).rfind("model ", 0), 0U) << arena(here);
}

TEST_F(AttentionChoice, WhatCannotBeHadIsRefusedBeforeTheRun) {
  const struct {
    const char *options, *environment, *words;
  } cases[] = {
      {"--precision.compute=fp32", "", "cuDNN's attention computes in bf16 and fp16, and there is precision.compute = fp32"},
      {"--data.mask_documents=true", "", "with data.mask_documents = true keys are hidden inside a sequence, which our own kernels do"},
      {"", "STRATA_CUDNN_LIBRARY=/nowhere/libcudnn.so.9", "cuDNN could not be loaded (/nowhere/libcudnn.so.9: "},
      {"", "STRATA_EMULATION_CUDNN=91500", "cuDNN 9.15.0 was found, expected 9.16.0 or newer of version 9"},
      {"", "STRATA_EMULATION_CUDNN_WORKSPACE=1000000000",
       "has no plan that repeats its bits for causal attention of bf16 2 x 32 x 4 heads of"},
  };
  for (const auto& c : cases) {
    if (on_real_gpu() && std::string(c.environment).find("EMULATION") != std::string::npos) continue;
    const std::string options = std::string(cudnn) + "--run.folder=none " + c.options;
    const CommandResult run = on_cuda(2, "train", options, c.environment), check = on_cuda(0, "check", options, c.environment);
    EXPECT_EQ(run.status, 2) << run.err;
    EXPECT_EQ(check.status, 2) << check.out;
    expect_words(run.err, {"device.attention = cudnn: ", c.words, "device.attention = own"}), expect_words(check.out, {c.words});
    EXPECT_FALSE(std::filesystem::exists(folder() / "none" / "checkpoints"));
  }
  const CommandResult on_host = folder().strata(0, "check", std::string("--device.kind=cpu ") + cudnn);
  EXPECT_EQ(on_host.status, 0) << on_host.out;
  expect_words(on_host.out, {"device.attention = cudnn is for device.kind = cuda: not used"});
}

// By what the deck and the model say, also where there is no GPU to ask.
TEST_F(AttentionChoice, ModelsThatItDoesNotTakeAreNamed) {
  std::string heads = read_file(folder() / "config.json");
  heads.replace(heads.find("\"head_dim\": 16"), 14, "\"head_dim\": 12");
  write_file(folder() / "heads.json", heads);
  write_file(folder() / "bert.json",
             R"({"architectures": ["BertForQuestionAnswering"], "model_type": "bert", "vocab_size": 320, "hidden_size": 32,
 "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
 "attention_probs_dropout_prob": 0.25, "max_position_embeddings": 80, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0})");
  const std::string options = std::string(cudnn) + "--run.folder=none --model.config=";
  for (const char* environment : {"", "STRATA_CUDA_LIBRARY=/nowhere.so"}) {
    const CommandResult by_heads = on_cuda(0, "check", options + "heads.json", environment),
                        by_dropout = on_cuda(0, "check", options + "bert.json", environment);
    EXPECT_NE(by_heads.status, 0);
    expect_words(by_heads.out, {"attention heads have 12 elements, cuDNN's kernels take multiples of 8 up to 128"});
    EXPECT_NE(by_dropout.status, 0);
    expect_words(by_dropout.out, {"this model drops probabilities of attention in training (0.25), which our own kernels do"});
  }
}

TEST_F(AttentionChoice, EvaluationTakesItAndGenerationSaysThatItDoesNot) {
  train("judged", 0, "--train.max_steps=1");
  const auto evaluated = [](const std::string& options) {
    const CommandResult result = on_cuda(0, "evaluate", "--run.folder=judged --json " + options);
    EXPECT_EQ(result.status, 0) << result.err;
    return std::make_pair(nlohmann::json::parse(result.out).at("loss").get<double>(), result.err);
  };
  const auto own = evaluated(""), by_cudnn = evaluated(cudnn);
  expect_words(by_cudnn.second, {"Attention by cuDNN 9."});
  EXPECT_NEAR(by_cudnn.first, own.first, 0.01 * own.first);
  write_file(folder() / "prompts.txt", "the sailor\n");
  const CommandResult generated =
      on_cuda(0, "generate", std::string(cudnn) + "--run.folder=judged --generate.prompts=prompts.txt --generate.max_new_tokens=2");
  EXPECT_EQ(generated.status, 0) << generated.err;
  expect_words(generated.err, {"device.attention = cudnn: generation computes with our own kernels"});
}

TEST_F(AttentionChoice, MeasureSaysWhichIsFaster) {
  const std::string options = "--measure.seconds=0.3 --measure.output=m/gpu.in ";
  const CommandResult json = on_cuda(0, "measure", options + "--json"), text = on_cuda(0, "measure", options + cudnn);
  ASSERT_EQ(json.status, 0) << json.err;
  const auto attention = nlohmann::json::parse(json.out).at("attention");
  ASSERT_EQ(attention.size(), 2U) << attention;
  for (const auto& one : attention) {
    EXPECT_EQ(one.at("op").get<std::string>().find("attention_"), 0U);
    EXPECT_GT(one.at("own_us").get<double>(), 0);
    EXPECT_GT(one.at("cudnn_us").get<double>(), 0);
  }
  ASSERT_EQ(text.status, 0) << text.err;
  expect_words(text.out,
               {"attention_forward_bf16_8x32x16", " own ", " cudnn ", "  device.attention = ", " is faster, together by a factor of "});
  const CommandResult without = on_cuda(0, "measure", options, "STRATA_CUDNN_LIBRARY=/nowhere.so");
  EXPECT_EQ(without.status, 0) << without.err;
  expect_words(without.err, {"Attention by our own kernels alone: cuDNN could not be loaded"});
}

}  // namespace
}  // namespace strata::test
