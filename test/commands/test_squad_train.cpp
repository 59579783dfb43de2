// BERT for question answering, from SQuAD's JSON to a trained folder, by commands: the same bits on any ranks, strategies and after a
// restart with dropout on; scores that the official form gives again; decks that mix up models and data.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "commands/run_fixture.hpp"
#include "strata/base/fault.hpp"

namespace strata::test {
namespace {
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

json asked(const std::string& id, const std::string& question, const std::string& context, const std::string& answer) {
  json answers = json::array();
  if (!answer.empty()) answers.push_back({{"text", answer}, {"answer_start", context.find(answer)}});
  return {{"id", id}, {"question", question}, {"answers", answers}};
}

/// `count` contexts with two questions each; v2: the second one has no answer.
json squad(int first, int count, bool v2) {
  static const char* const places[] = {"river", "station", "market", "church", "school"};
  static const char* const nouns[] = {"house", "garden", "museum", "bridge"};
  json paragraphs = json::array();
  for (int i = first; i < first + count; ++i) {
    const std::string noun = nouns[i % 4], place = places[i * 7 % 5], number = std::to_string(3 + i);
    const std::string context = "The " + noun + " is by the " + place + ", and " + number + " men work in it.";
    json qas = {asked("w" + std::to_string(i), "Where is the " + noun + "?", context, "by the " + place),
                asked("m" + std::to_string(i), "How many men?", context, v2 ? "" : number)};
    if (v2) qas[0]["is_impossible"] = false, qas[1]["is_impossible"] = true;
    paragraphs.push_back({{"context", context}, {"qas", qas}});
  }
  return {{"version", v2 ? "v2.0" : "1.1"}, {"data", {{{"title", "places"}, {"paragraphs", paragraphs}}}}};
}

constexpr const char* config = R"({"architectures": ["BertForMaskedLM"], "model_type": "bert", "vocab_size": 2200, "hidden_size": 32,
 "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
 "attention_probs_dropout_prob": 0.1, "max_position_embeddings": 80, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "pad_token_id": 0})";

constexpr const char* deck = R"([model]
config = config.json
[prepare]
format = squad
stride = 8
[data]
train = train.h5
validation = dev.h5
sequence = 64
[batch]
global = 10
micro = 2
[train]
max_steps = 4
validate_every = 2
[optimizer]
lr = 2e-3
[schedule]
kind = constant
[precision]
compute = fp32
[checkpoint]
every = 0
)";

/// Made once: JSON, feature files, a small model and a deck.
class SquadRun {
 public:
  static const SquadRun& get() {
    static const SquadRun run;
    return run;
  }
  fs::path operator/(const std::string& name) const { return folder_ / name; }
  CommandResult strata(int ranks, const std::string& command, const std::string& options) const {
    const std::string launcher = ranks > 0 ? "mpirun --oversubscribe --bind-to none -n " + std::to_string(ranks) + " " : "";
    return run_command("cd '" + folder_.path().string() + "' && " + launcher + "'" + binary() + "' " + command + " squad.in " + options +
                       " --device.threads=1");
  }
  fs::path checkpoint(const std::string& run, int step) const {
    return folder_ / (run + "/checkpoints/step_00000" + std::to_string(step) + ".h5");
  }

 private:
  SquadRun() {
    write_file(folder_ / "config.json", config);
    write_file(folder_ / "squad.in", deck);
    prepare("train", squad(0, 16, false)), prepare("dev", squad(16, 6, false)), prepare("dev2", squad(16, 6, true));
  }
  void prepare(const std::string& name, const json& data) {
    write_file(folder_ / (name + ".json"), data.dump());
    const CommandResult made = strata(0, "prepare",
                                      "--prepare.input=" + name + ".json --prepare.output=" + name +
                                          ".h5 --tokenizer.path=" + data_file("tokenizer/small_bert").string());
    if (made.status != 0) throw std::runtime_error(made.err);
  }
  TemporaryFolder folder_;
};

void train(const std::string& run, int ranks, const std::string& options) {
  const CommandResult result = SquadRun::get().strata(ranks, "train", "--run.folder=" + run + " " + options);
  ASSERT_EQ(result.status, 0) << run << "\n" << result.err;
}

void expect_equal_runs(const std::string& a, const std::string& b, int step) {
  const SquadRun& folder = SquadRun::get();
  EXPECT_EQ(checkpoint_difference(folder.checkpoint(a, step), folder.checkpoint(b, step)), "") << a << " and " << b;
  EXPECT_EQ(lasting_metrics(folder / a / "metrics.csv"), lasting_metrics(folder / b / "metrics.csv")) << a << " and " << b;
}

double first_loss(const std::string& run) {
  std::istringstream rows(read_file(SquadRun::get() / run / "metrics.csv"));
  std::string value;
  std::getline(rows, value);
  for (int column = 0; column < 4; ++column) std::getline(rows, value, ',');
  return std::stod(value);
}

// Five leaves a step, dropout on: ragged rounds, strategies, recomputation and offload.
TEST(SquadTrain, SameBitsOnAnyRanksAndStrategies) {
  train("one", 0, "");
  train("ddp2", 2, ""), expect_equal_runs("one", "ddp2", 4);
  train("ddp3", 3, "--parallel.recompute=selective"), expect_equal_runs("one", "ddp3", 4);
  train("zero1", 2, "--parallel.strategy=zero1"), expect_equal_runs("one", "zero1", 4);
  train("fsdp2", 2, "--parallel.strategy=fsdp"), expect_equal_runs("one", "fsdp2", 4);
  train("fsdp3", 3, "--parallel.strategy=fsdp --parallel.recompute=full --parallel.offload=activations");
  expect_equal_runs("one", "fsdp3", 4);
}

TEST(SquadTrain, ARestartOnOtherRanksContinuesBitForBit) {
  train("whole", 0, "--precision.compute=bf16 --batch.global=6");
  train("parts", 2, "--precision.compute=bf16 --batch.global=6 --train.max_steps=2");
  train("parts", 3, "--precision.compute=bf16 --batch.global=6 --parallel.strategy=fsdp");
  expect_equal_runs("whole", "parts", 4);
}

// What is dropped follows the sequences of the step, not how they are cut into micro-batches; and it is drawn anew in each step.
TEST(SquadTrain, DropoutDependsOnSeedAndSequenceOnly) {
  train("micro2", 0, "--train.max_steps=1"), train("micro5", 0, "--train.max_steps=1 --batch.micro=5");
  EXPECT_NEAR(first_loss("micro2"), first_loss("micro5"), 1e-5);
  std::string dry = config;
  for (std::size_t at; (at = dry.find("_prob\": 0.1")) != std::string::npos;) dry.replace(at, 11, "_prob\": 0.0");
  write_file(SquadRun::get() / "dry.json", dry);
  train("dry", 0, "--train.max_steps=1 --model.config=dry.json");
  EXPECT_GT(std::abs(first_loss("dry") - first_loss("micro2")), 1e-4);
}

// data.order: the file's order written down is the file's order; another is another run, and a restart keeps to it.
TEST(SquadTrain, ARecordedOrderIsFollowed) {
  const SquadRun& folder = SquadRun::get();
  std::string forwards, backwards;
  for (int i = 0; i < 32; ++i) forwards += std::to_string(i) + "\n", backwards += std::to_string(31 - i) + " ";
  write_file(folder / "forwards.txt", forwards), write_file(folder / "backwards.txt", backwards);
  train("file_order", 0, "--data.shuffle=false");
  train("forwards", 2, "--data.order=forwards.txt --train.max_steps=2"), train("forwards", 3, "--data.order=forwards.txt");
  EXPECT_EQ(lasting_metrics(folder / "file_order/metrics.csv"), lasting_metrics(folder / "forwards/metrics.csv"));
  EXPECT_THAT(read_file(folder / "forwards/log.txt"), HasSubstr("First sample: Where is the house? -> by the river"));

  const auto check = [&](const std::string& options) {
    return folder.strata(0, "check", "--run.folder=forwards --train.max_steps=6 " + options);
  };
  EXPECT_EQ(check("--data.order=forwards.txt").status, 0);
  const CommandResult other = check("--data.order=backwards.txt"), none = check("");
  EXPECT_EQ(other.status, 3);
  EXPECT_THAT(other.out, HasSubstr("data.order = backwards.txt is not the order in which the run of"));
  EXPECT_EQ(none.status, 3);
  EXPECT_THAT(none.out, HasSubstr("was trained with a data.order, and none is given"));
  write_file(folder / "short.txt", "0 1 2");
  EXPECT_THAT(check("--run.folder=fresh --data.order=short.txt").out, HasSubstr("short.txt holds 3 numbers; an epoch has 32 samples"));
}

TEST(SquadTrain, LearnsScoresAndIsEvaluatedAlikeOnAnyRanks) {
  const SquadRun& folder = SquadRun::get();
  train(
      "learns", 2,
      "--train.max_steps=80 --train.validate_every=40 --optimizer.lr=4e-3 --tokenizer.path=" + data_file("tokenizer/small_bert").string());
  const std::string log = read_file(folder / "learns/log.txt");
  EXPECT_THAT(log, AllOf(HasSubstr("First sample: "), HasSubstr("exact match "), HasSubstr("F1 "), HasSubstr("(12 questions, ")));
  EXPECT_THAT(log, ::testing::Not(HasSubstr("perplexity")));
  std::string evaluation, predictions, n_best;
  for (const int ranks : {0, 2, 3}) {
    const CommandResult result = folder.strata(
        ranks, "evaluate", "--run.folder=learns --evaluate.data=train.h5 --evaluate.output=learns/out/evaluation.json --json");
    ASSERT_EQ(result.status, 0) << result.err;
    const std::string file = read_file(folder / "learns/out/evaluation.json");
    EXPECT_EQ(file, result.out);
    if (ranks > 0) {
      EXPECT_EQ(file, evaluation);
      EXPECT_EQ(read_file(folder / "learns/out/predictions.json"), predictions);
      EXPECT_EQ(read_file(folder / "learns/out/nbest_predictions.json"), n_best);
    }
    evaluation = file, predictions = read_file(folder / "learns/out/predictions.json");
    n_best = read_file(folder / "learns/out/nbest_predictions.json");
  }
  const json result = json::parse(evaluation);
  EXPECT_LT(result["loss"].get<double>(), 0.5 * first_loss("learns"));
  EXPECT_GT(result["f1"].get<double>(), 50);
  EXPECT_EQ(result["total"], 32);
  EXPECT_EQ(json::parse(predictions).size(), 32u);

  const CommandResult scored =
      folder.strata(0, "evaluate", "--evaluate.score=learns/out/predictions.json --evaluate.references=train.json --json");
  ASSERT_EQ(scored.status, 0) << scored.err;
  for (const char* key : {"exact_match", "f1", "total", "f1_interval"}) EXPECT_EQ(json::parse(scored.out)[key], result[key]) << key;

  const CommandResult converted =
      folder.strata(0, "convert",
                    "--convert.from=learns/checkpoints --convert.to=trained --convert.dtype=fp32 --tokenizer.path=" +
                        data_file("tokenizer/small_bert").string());
  ASSERT_EQ(converted.status, 0) << converted.err;
  EXPECT_EQ(json::parse(read_file(folder / "trained/config.json"))["architectures"][0], "BertForQuestionAnswering");
  EXPECT_TRUE(fs::exists(folder / "trained/vocab.txt"));
}

// The folder a run leaves, in Hugging Face: the same answers and logits; and its predictions by the official formula, to the digit.
TEST(SquadTrain, HuggingFaceLoadsTheTrainedFolderAndAnswersAlike) {
  const char* named = std::getenv("STRATA_TEST_PYTHON");
  const std::string python = named ? named : "python3";
  if (run_command("'" + python + "' -c 'import torch, transformers'").status != 0)
    GTEST_SKIP() << "no torch and transformers: name an interpreter that has them in STRATA_TEST_PYTHON";
  const SquadRun& folder = SquadRun::get();
  const std::string tokenizer = " --tokenizer.path=" + data_file("tokenizer/small_bert").string();
  train("hugging", 0, "--train.max_steps=40 --train.validate_every=0 --optimizer.lr=4e-3" + tokenizer);
  ASSERT_EQ(folder.strata(0, "evaluate", "--run.folder=hugging --evaluate.data=train.h5").status, 0);
  const CommandResult converted =
      folder.strata(0, "convert", "--convert.from=hugging/checkpoints --convert.to=hugged --convert.dtype=fp32" + tokenizer);
  ASSERT_EQ(converted.status, 0) << converted.err;

  const CommandResult read = run_command("'" + python + "' '" + (source_dir() / "test/tools/check_bert_folder.py").string() + "' '" +
                                         (folder / "hugged").string() + "' '" + (folder / "train.json").string() + "' '" +
                                         (folder / "hugging").string() + "' 64 8");
  ASSERT_EQ(read.status, 0) << read.err;
  const json theirs = json::parse(read.out), ours = json::parse(read_file(folder / "hugging/evaluation.json"));
  EXPECT_EQ(theirs["missing"].size() + theirs["unexpected"].size(), 0u) << read.out;
  EXPECT_EQ(theirs["questions"], 32);
  EXPECT_EQ(theirs["same"], 32) << read.out;
  EXPECT_LE(theirs["apart"].get<double>(), 1e-4);
  EXPECT_EQ(theirs["exact_match"].get<double>(), ours["exact_match"].get<double>());
  EXPECT_EQ(theirs["f1"].get<double>(), ours["f1"].get<double>());
  EXPECT_GT(ours["f1"].get<double>(), 20);
}

// The best checkpoint is the one with the highest F1, which the record of the run holds.
TEST(SquadTrain, TheBestCheckpointGoesByF1) {
  const SquadRun& folder = SquadRun::get();
  train("best", 0, "--data.validation=dev2.h5 --checkpoint.keep=1");
  const json step4 = json::parse(run_command("'" + binary() + "' inspect '" + folder.checkpoint("best", 4).string() + "' --json").out);
  const std::string best = read_file(folder / "best/checkpoints/best");
  const json named = json::parse(
      run_command("'" + binary() + "' inspect '" + (folder / "best/checkpoints" / best.substr(0, best.size() - 1)).string() + "' --json")
          .out);
  EXPECT_EQ(named["extra"]["validation_f1"].get<std::string>().empty(), false);
  EXPECT_EQ(std::stod(named["extra"]["validation_f1"].get<std::string>()), step4["best_metric"].get<double>());
  EXPECT_GE(step4["best_metric"].get<double>(), std::stod(step4["extra"]["validation_f1"].get<std::string>()));
}

TEST(SquadTrain, SquadTwoHasItsThreshold) {
  const SquadRun& folder = SquadRun::get();
  train("two", 0, "--train.max_steps=2");
  const CommandResult result = folder.strata(2, "evaluate", "--run.folder=two --evaluate.data=dev2.h5 --json");
  ASSERT_EQ(result.status, 0) << result.err;
  const json scores = json::parse(result.out);
  EXPECT_EQ(scores["NoAns_total"], 6);
  EXPECT_TRUE(scores.contains("best_f1_thresh"));
  EXPECT_TRUE(fs::exists(folder / "two/null_odds.json"));
}

TEST(SquadTrain, ALossThatIsNotFiniteIsNamed) {
  if (!fault_injection) GTEST_SKIP() << "this build has no fault injection";
  const CommandResult result = SquadRun::get().strata(2, "train", "--run.folder=nan --run.fault=nan:step=2:leaf=1");
  EXPECT_EQ(result.status, 5) << result.err;
  EXPECT_THAT(result.err, HasSubstr("the loss (sequence 0, first token of the answer: element 0 is nan) of micro-batch 1"));
}

TEST(SquadTrain, TheBatchScriptHasNoFault) {
  const fs::path script = source_dir() / "jobs" / "squad.sbatch";
  const CommandResult result =
      SquadRun::get().strata(0, "check", "--run.folder=fresh --batch.global=8 --json --check.script='" + script.string() + "'");
  EXPECT_EQ(result.status, 0) << result.out;
  const json found = json::parse(result.out);
  EXPECT_EQ(found["facts"]["launch"]["ranks"], 4);
  EXPECT_TRUE(found["findings"].empty()) << found.dump(2);
}

TEST(SquadTrain, DecksThatMixUpModelsAndDataAreRefused) {
  const SquadRun& folder = SquadRun::get();
  const auto check = [&](const std::string& options) { return folder.strata(0, "check", "--run.folder=refused " + options); };
  EXPECT_EQ(check("").status, 0) << check("").out;
  EXPECT_THAT(check("").out, HasSubstr("data        32 sequences of 64 tokens from 32 questions, 12 for validation"));

  write_file(folder / "ids.jsonl", "{\"input_ids\": [1, 2, 3, 4]}\n");
  const CommandResult ids = folder.strata(
      0, "prepare",
      "--prepare.format=ids --prepare.separator=none --prepare.vocabulary=100 --prepare.input=ids.jsonl --prepare.output=tokens.h5");
  ASSERT_EQ(ids.status, 0) << ids.err;
  const CommandResult tokens = check("--data.train=tokens.h5");
  EXPECT_EQ(tokens.status, 3);
  EXPECT_THAT(tokens.out, HasSubstr("a token file; a bert model for question answering learns from a feature file"));
  EXPECT_EQ(folder.strata(2, "train", "--run.folder=refused --data.train=tokens.h5").status, 3);

  const fs::path causal = data_file("models") / "qwen3-tied";
  const CommandResult features = check("--model.config=" + causal.string());
  EXPECT_EQ(features.status, 3);
  EXPECT_THAT(features.out, HasSubstr("a feature file of questions and answers, which BERT models learn from; a qwen3 model"));
  const CommandResult evaluated = folder.strata(0, "evaluate", "--evaluate.checkpoint=" + causal.string() + " --run.folder=refused");
  EXPECT_EQ(evaluated.status, 3);
  EXPECT_THAT(evaluated.err, HasSubstr("a feature file of questions and answers"));

  EXPECT_THAT(check("--data.sequence=32").out, HasSubstr("have 64 tokens, and data.sequence is 32: set data.sequence = 64"));
  EXPECT_THAT(check("--data.sequence=128").out, HasSubstr("longer than the model's max_position_embeddings = 80"));
  EXPECT_THAT(check("--data.mask_documents=true").out, HasSubstr("data.mask_documents = true is for causal models"));
  EXPECT_THAT(check("--train.validation_sequences=0").out, HasSubstr("can start"));
  const CommandResult plan = folder.strata(0, "plan", "--plan.ranks=4 --parallel.strategy=fsdp");
  EXPECT_EQ(plan.status, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("bert, "));
}

}  // namespace
}  // namespace strata::test
