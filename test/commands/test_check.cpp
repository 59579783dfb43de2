// strata check: every class of finding, its exit code, and that a run begins exactly where check says it can.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <nlohmann/json.hpp>

#include "commands/run_fixture.hpp"
#include "strata/io/safetensors.hpp"
#include "strata/models/causal_lm.hpp"

namespace strata::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

struct Report {
  int status = -1;
  json all;
  /// The first finding with this code; null: there is none.
  json first(const std::string& code) const {
    for (const json& finding : all.at("findings"))
      if (finding.at("code") == code) return finding;
    return nullptr;
  }
  std::size_t count(const std::string& code) const {
    std::size_t n = 0;
    for (const json& finding : all.at("findings")) n += finding.at("code") == code;
    return n;
  }
};

Report check(const std::string& options, int ranks = 0) {
  const CommandResult result = RunFolder::get().strata(ranks, "check", "--run.folder=fresh --json " + options);
  Report report;
  report.status = result.status;
  EXPECT_NO_THROW(report.all = json::parse(result.out)) << result.out << result.err;
  EXPECT_EQ(report.all.at("exit_code"), result.status);
  EXPECT_EQ(report.all.at("can_start"), result.status == 0);
  return report;
}

// Expects an error of that code, with the message and the exit code.
void expect_error(const Report& report, const std::string& code, int status, const std::string& message) {
  const json finding = report.first(code);
  ASSERT_FALSE(finding.is_null()) << code << "\n" << report.all.dump(2);
  EXPECT_EQ(finding.at("severity"), "error");
  EXPECT_EQ(finding.at("exit_code"), status);
  EXPECT_THAT(finding.at("message").get<std::string>(), HasSubstr(message));
}

TEST(Check, AGoodDeckCanStartAndItsPlanIsWhatARunAllocates) {
  const Report report = check("--check.ranks=3 --device.threads=2");
  EXPECT_EQ(report.status, 0) << report.all.dump(2);

  const CommandResult run = RunFolder::get().strata(3, "train", "--run.folder=fresh --device.threads=2 --train.max_steps=2");
  ASSERT_EQ(run.status, 0) << run.err;
  const std::int64_t planned = report.all.at("facts").at("memory").at("arena_bytes");
  EXPECT_THAT(read_file(RunFolder::get() / "fresh" / "log.txt"), HasSubstr(" " + std::to_string(planned) + " bytes"));
  const auto saved = static_cast<std::int64_t>(fs::file_size(RunFolder::get().checkpoint("fresh", 2)));
  const std::int64_t foreseen = report.all.at("facts").at("checkpoints").at("bytes");
  EXPECT_LE(saved, foreseen);
  EXPECT_GT(saved, foreseen / 4);
  fs::remove_all(RunFolder::get() / "fresh");
}

TEST(Check, WritesNothing) {
  check("");
  EXPECT_FALSE(fs::exists(RunFolder::get() / "fresh"));
}

TEST(Check, RunsUnderMpirunWithTheRanksThatAreStarted) {
  const Report report = check("", 2);
  EXPECT_EQ(report.status, 0);
  EXPECT_EQ(report.all.at("facts").at("launch").at("ranks"), 2);
}

TEST(Check, TellsTheFactsOfTheRun) {
  const json facts = check("--train.max_steps=0 --train.epochs=2 --schedule.steps=auto").all.at("facts");
  const std::int64_t sequences = facts.at("data").at("sequences");
  EXPECT_EQ(facts.at("steps").at("per_epoch"), (sequences + 11) / 12);
  EXPECT_EQ(facts.at("steps").at("total"), (2 * sequences + 11) / 12);
  EXPECT_EQ(facts.at("steps").at("micro_batches"), 6);
  EXPECT_EQ(facts.at("model").at("tensors"), 24);
}

TEST(Check, DeckMistakesContradictionsAndMissingDataComeTogether) {
  const Report report = check(
      "--optimizer.lrr=1 --train.clip=much --batch.micro=0 --schedule.warmup_steps=99 --data.validation=gone.h5 --train.early_stopping=2 "
      "--train.validate_every=0");
  EXPECT_EQ(report.status, 2);
  EXPECT_EQ(report.count("deck"), 3u) << report.all.dump(2);
  expect_error(report, "deck", 2, "optimizer.lrr: unknown key; nearest: optimizer.lr");
  EXPECT_EQ(report.count("deck.contradiction"), 2u) << report.all.dump(2);
  expect_error(report, "data.unreadable", 3, "data.validation = gone.h5");
  EXPECT_EQ(report.all.at("findings")[0].at("exit_code"), 2) << "worst first";
  EXPECT_EQ(report.first("deck").at("where"), "command line");
}

TEST(Check, WhatFollowsFromAMistakeIsNotToldAsAnother) {
  const RunFolder& folder = RunFolder::get();
  std::string deck = read_file(folder / "test.in");
  deck.replace(deck.find("global = 12"), 11, "gobal = 12");
  write_file(folder / "misspelt.in", deck);
  const CommandResult result = run_command("cd '" + (folder / "").string() + "' && '" + binary() + "' check misspelt.in --json");
  const json all = json::parse(result.out);

  EXPECT_EQ(result.status, 2);
  ASSERT_EQ(all.at("findings").size(), 1u) << all.dump(2);
  EXPECT_EQ(all.at("findings")[0].at("where"), "misspelt.in:19");
}

TEST(Check, ADeckThatIsNotThereIsAMistake) {
  const CommandResult result = run_command("'" + binary() + "' check gone.in");
  EXPECT_EQ(result.status, 2);
  EXPECT_THAT(result.err + result.out, HasSubstr("gone.in: the deck does not exist"));
}

TEST(Check, ForPeopleItNamesLineRemedyAndTheEnd) {
  const CommandResult bad = RunFolder::get().strata(0, "check", "--run.folder=fresh --data.train=gone.h5 --data.sequence=256");
  EXPECT_EQ(bad.status, 3);
  EXPECT_THAT(bad.out, HasSubstr("error    command line: data.train = gone.h5: cannot open the file"));
  EXPECT_THAT(bad.out, HasSubstr("-> make it with strata prepare"));
  EXPECT_THAT(bad.out, HasSubstr("max_position_embeddings"));
  EXPECT_THAT(bad.out, HasSubstr("\ncannot start: 2 errors"));
  const CommandResult good = RunFolder::get().strata(0, "check", "--run.folder=fresh");
  EXPECT_THAT(good.out, HasSubstr("\ncan start"));
}

TEST(Check, DamagedAndForeignData) {
  const RunFolder& folder = RunFolder::get();
  const std::string bytes = read_file(folder / "train.h5");
  write_file(folder / "cut.h5", bytes.substr(0, bytes.size() - 5000));
  std::string flipped = bytes;
  flipped[bytes.size() / 2] = static_cast<char>(flipped[bytes.size() / 2] ^ 1);
  write_file(folder / "flipped.h5", flipped);
  ASSERT_EQ(folder
                .strata(0, "prepare",
                        "--tokenizer.path=other.model --tokenizer.vocabulary=300 --prepare.output=other.h5 "
                        "--prepare.validation_output=other-valid.h5")
                .status,
            0);

  expect_error(check("--data.train=cut.h5"), "data.unreadable", 3, "cut.h5");
  expect_error(check("--data.train=flipped.h5"), "data.damaged", 3, "is damaged");
  expect_error(check("--data.validation=flipped.h5"), "data.damaged", 3, "is damaged");
  expect_error(check("--data.train=other.h5"), "data.tokenizer", 3, "made with another tokenizer");
}

TEST(Check, TokensPackedForAnotherLength) {
  const RunFolder& folder = RunFolder::get();
  const CommandResult packed =
      folder.strata(0, "prepare", "--prepare.output=p.h5 --prepare.validation_output=pv.h5 --prepare.pack=concat --prepare.sequence=16");
  ASSERT_EQ(packed.status, 0) << packed.err;
  const Report report = check("--data.train=p.h5");
  expect_error(report, "data.sequence", 3, "set data.sequence = 16 or prepare it again");
  EXPECT_EQ(report.first("data.too_short"), nullptr);  // more text would not help
}

TEST(Check, AmountsOfData) {
  const Report report = check("--batch.global=2000 --batch.micro=2 --train.validation_sequences=100000");
  EXPECT_EQ(report.status, 0) << report.all.dump(2);
  EXPECT_EQ(report.first("data.few").at("severity"), "warning");
  EXPECT_EQ(report.first("data.validation_few").at("severity"), "note");
}

TEST(Check, ConfigurationsAndVocabularies) {
  const RunFolder& folder = RunFolder::get();
  std::string config = read_file(folder / "config.json");
  write_file(folder / "broken.json", config.substr(0, config.size() / 2));
  config.replace(config.find("\"vocab_size\": 320"), 17, "\"vocab_size\": 300");
  write_file(folder / "small.json", config);

  expect_error(check("--model.config=gone.json"), "model.config", 3, "gone.json");
  expect_error(check("--model.config=broken.json"), "model.config", 3, "not a JSON file");
  expect_error(check("--data.sequence=256"), "model.sequence", 3, "max_position_embeddings");
  const Report small = check("--model.config=small.json");
  expect_error(small, "data.vocabulary", 3, "token ids up to 319, the model's vocabulary holds 300");
  expect_error(small, "tokenizer.vocabulary", 3, "ids up to 319");
  expect_error(check("--tokenizer.path=text.txt"), "tokenizer", 3, "text.txt");
}

// model.safetensors of zeros for the fixture's model, changed by `edit`.
void write_weights(const fs::path& folder, const std::function<void(std::vector<SafetensorsItem>&)>& edit) {
  fs::create_directories(folder);
  fs::copy_file(RunFolder::get() / "config.json", folder / "config.json", fs::copy_options::overwrite_existing);
  const CausalLm model(read_model_config(folder));
  std::vector<SafetensorsItem> items;
  for (const Parameter& p : model.parameters().parameters()) {
    items.push_back({p.name, DType::f32, {}});
    for (int d = 0; d < p.shape.rank(); ++d) items.back().shape.push_back(p.shape[d]);
  }
  edit(items);
  SafetensorsWriter writer(folder / "model.safetensors", items);
  for (const SafetensorsItem& item : items) {
    std::int64_t n = 1;
    for (std::int64_t size : item.shape) n *= size;
    const std::vector<float> zeros(static_cast<std::size_t>(n));
    writer.fill(item.name, 0, n, zeros.data());
  }
  writer.commit();
}

TEST(Check, EveryTensorThatDoesNotFitIsNamed) {
  const RunFolder& folder = RunFolder::get();
  write_weights(folder / "sound", [](auto&) {});
  write_weights(folder / "unfit", [](auto& items) {
    items.erase(items.begin() + 3);
    items[5].shape.front() += 1;
    items.push_back({"model.layers.7.extra.weight", DType::f32, {4}});
  });

  EXPECT_EQ(check("--model.weights=sound").status, 0);
  const Report report = check("--model.weights=unfit");
  EXPECT_EQ(report.status, 3);
  EXPECT_EQ(report.count("weights.mismatch"), 3u) << report.all.dump(2);
  expect_error(report, "weights.mismatch", 3, "");
  expect_error(check("--model.weights=gone"), "weights.unreadable", 3, "gone");
  const CommandResult train = folder.strata(2, "train", "--run.folder=unfit-run --model.weights=unfit");
  EXPECT_EQ(train.status, 3);
  EXPECT_THAT(train.err, HasSubstr("the run cannot start, 3 errors"));
}

TEST(Check, MoreTensorsThanAPersonReadsAreCounted) {
  write_weights(RunFolder::get() / "all-wrong", [](auto& items) {
    for (auto& item : items) item.shape.back() += 1;
  });
  const Report report = check("--model.weights=all-wrong");
  EXPECT_EQ(report.count("weights.mismatch"), 21u);
  EXPECT_THAT(report.all.dump(), HasSubstr("and 4 more tensors do not fit"));
}

TEST(Check, MemoryThatIsNotThere) {
  const std::string huge = "--batch.micro=1048576 --batch.global=1048576 --data.sequence=128";
  const Report report = check(huge);
  EXPECT_EQ(report.status, 4);
  expect_error(report, "memory", 4, "this run needs");
  EXPECT_EQ(RunFolder::get().strata(2, "train", "--run.folder=huge " + huge).status, 4);
}

TEST(Check, AFolderThatCannotBeMade) {
  const Report report = check("--run.folder=text.txt/run");
  EXPECT_EQ(report.status, 3);
  expect_error(report, "folder.in_the_way", 3, "expected a folder, found a file");
}

// A small tmpfs for as long as the object lives.
class SmallDisk {
 public:
  explicit SmallDisk(const fs::path& path) : path_(path) {
    fs::create_directories(path);
    mounted_ = ::mount("tmpfs", path.c_str(), "tmpfs", 0, "size=4m") == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  bool make_read_only() const { return ::mount("tmpfs", path_.c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=4m") == 0; }

 private:
  fs::path path_;
  bool mounted_ = false;
};

TEST(Check, ADiskThatHoldsOneCheckpointButNotAll) {
  const SmallDisk disk(RunFolder::get() / "disk");
  if (!disk.mounted()) GTEST_SKIP() << "mounting a small tmpfs is not permitted here";
  const Report report = check("--run.folder=disk/run");
  EXPECT_EQ(report.status, 4);
  expect_error(report, "disk", 4, "checkpoint.keep = 3");
  EXPECT_EQ(
      check("--run.folder=disk/run --checkpoint.keep=1 --checkpoint.keep_best=0 --checkpoint.every=0 --train.validate_every=0").status, 0);
  EXPECT_EQ(RunFolder::get().strata(2, "train", "--run.folder=disk/run").status, 4);
}

TEST(Check, AReadOnlyDisk) {
  const SmallDisk disk(RunFolder::get() / "read-only");
  if (!disk.mounted() || !disk.make_read_only()) GTEST_SKIP() << "mounting a small tmpfs is not permitted here";
  const Report report = check("--run.folder=read-only/run");
  EXPECT_EQ(report.status, 3);
  expect_error(report, "folder.unwritable", 3, "Read-only file system");
}

TEST(Check, TheCheckpointItWouldGoOnFrom) {
  const RunFolder& folder = RunFolder::get();
  ASSERT_EQ(folder.strata(1, "train", "--run.folder=going --train.max_steps=5 --checkpoint.every=2").status, 0);
  const std::string on = "--run.folder=going --checkpoint.every=2 ";
  EXPECT_EQ(check(on).all.at("facts").at("resume").at("step"), 5);

  expect_error(check(on + "--optimizer.lr=1e-4"), "resume.deck", 2, "optimizer.lr was 0.003, is 1e-04");
  expect_error(check(on + "--data.train=valid.h5 --data.validation=train.h5"), "resume.data", 3, "is not the file the run");
  std::string config = read_file(folder / "config.json");
  write_file(folder / "renamed.json", config + "\n");
  expect_error(check(on + "--model.config=renamed.json"), "resume.model", 3, "is not the configuration");
  EXPECT_EQ(check(on + "--train.max_steps=5").first("resume.finished").at("severity"), "note");
  EXPECT_EQ(check(on + "--train.max_steps=9").first("resume.changed").at("severity"), "note");

  std::string bytes = read_file(folder.checkpoint("going", 5));
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  write_file(folder.checkpoint("going", 5), bytes);
  const Report damaged = check(on);
  EXPECT_EQ(damaged.status, 0);
  EXPECT_THAT(damaged.first("resume.damaged").at("message").get<std::string>(), HasSubstr("step_000005.h5 is passed over"));
  EXPECT_EQ(damaged.all.at("facts").at("resume").at("step"), 4);
}

class Script : public ::testing::Test {
 protected:
  Report with(const std::string& text, const std::string& options = "") const {
    write_file(RunFolder::get() / "job.sbatch", text);
    return check("--check.script=job.sbatch " + options);
  }
  const std::string directives =
      "#!/bin/bash\n#SBATCH -N 2 --ntasks-per-node=2\n#SBATCH --time=60\n#SBATCH --signal=B:USR1@120\n"
      "#SBATCH --requeue\n";
  const std::string commands = "trap 'kill -USR1 $pid' USR1\nmpirun --bind-to none strata train \"$@\" &\nwait\n";
};

TEST_F(Script, TheOneThatIsDeliveredHasNoFault) {
  const Report report = check("--check.script='" + (source_dir() / "jobs" / "train.sbatch").string() + "'");
  EXPECT_EQ(report.status, 0);
  EXPECT_EQ(report.all.at("facts").at("launch").at("ranks"), 2);
  EXPECT_EQ(report.all.at("findings").size(), 0u) << report.all.dump(2);
}

TEST_F(Script, GivesRanksAndRanksPerHost) {
  const json launch = with(directives + commands).all.at("facts").at("launch");
  EXPECT_EQ(launch.at("ranks"), 4);
  EXPECT_EQ(launch.at("ranks_per_host"), 2);
}

TEST_F(Script, RanksThatContradict) {
  expect_error(with(directives + commands, "--check.ranks=3"), "script.ranks", 2, "starts 4 ranks, check.ranks = 3");
  expect_error(with(directives + "mpirun -np 6 strata train x.in\n"), "script.tasks", 4, "starts 6 ranks in an allocation of 4 tasks");
  EXPECT_EQ(with(directives + "srun -n 2 \\\n  strata train x.in\n").first("script.tasks").at("severity"), "warning");
  expect_error(with("#SBATCH -N2 -n 9 --ntasks-per-node 4\n" + commands), "script.nodes", 4, "--ntasks=9");
}

TEST_F(Script, MemoryOfANode) {
  const Report report = with(directives + "#SBATCH --mem=8M\n" + commands);
  EXPECT_EQ(report.status, 4);
  expect_error(report, "script.memory", 4, "the script asks for 8.39 MB");
  EXPECT_EQ(report.first("script.memory").at("where"), "job.sbatch:6");
  EXPECT_EQ(with(directives + "#SBATCH --mem-per-cpu=4G\n" + commands).status, 0);
}

TEST_F(Script, WarningsBeforeTheLimit) {
  const auto warned = [&](const std::string& text, const char* code) {
    const Report report = with(text);
    EXPECT_EQ(report.status, 0);
    EXPECT_FALSE(report.first(code).is_null()) << code << "\n" << report.all.dump(2);
  };
  warned("#SBATCH -n 2 -t 10\n" + commands, "script.no_signal");
  warned("#SBATCH -n 2 --signal=B:INT@60 --requeue\n" + commands, "script.signal");
  warned("#SBATCH -n 2 --signal=B:USR1@60\n" + commands, "script.no_requeue");
  warned("#SBATCH -n 2 --signal=B:USR1@60 --requeue\nmpirun strata train x.in\n", "script.no_trap");
  warned("#SBATCH -n 2 --signal=USR1@60 --requeue\nmpirun strata train x.in\n", "script.signal_target");
  warned("#SBATCH -n 2 --signal=B:USR1@2 --requeue\n" + commands, "script.signal_late");
  warned(directives + "echo begun\n#SBATCH --mem=1M\n" + commands, "script.ignored");
  warned("echo nothing\n", "script.no_launcher");
  warned("#SBATCH -n 2 -c 4\nmpirun strata train x.in\n", "script.binding");
  EXPECT_TRUE(with("#SBATCH -n 2 --signal=USR1@60 --requeue\nsrun --mpi=pmix strata train x.in\n").first("script.signal_target").is_null());
}

TEST_F(Script, TheTimeLeft) {
  const RunFolder& folder = RunFolder::get();
  fs::create_directories(folder / "timed");
  write_file(folder / "timed" / "metrics.csv",
             "step,epoch,tokens,loss,grad_norm,lr,validation_loss,tokens_per_s,memory_bytes\n"
             "1,0.1,384,5,1,1e-3,,100,1000000\n");
  // 1,000 steps of 384 tokens at 100 tokens/s take 64 minutes; 58 of the 60 can be used.
  const std::string options = "--run.folder=timed --train.max_steps=1000 --schedule.steps=1000";
  const json goes_on = with(directives + commands, options).first("script.time");
  EXPECT_EQ(goes_on.at("severity"), "note");
  EXPECT_THAT(goes_on.at("message").get<std::string>(), HasSubstr("requeued about 1 times"));
  EXPECT_EQ(with("#SBATCH -n 2 --time=1:00:00\n" + commands, options).first("script.time").at("severity"), "warning");
  EXPECT_EQ(with("#SBATCH -n 2 --time=2-00\n" + commands, options).first("script.time").at("severity"), "note");
  EXPECT_EQ(with("#SBATCH -n 2 --time=soon\n" + commands, options).first("script.time").at("severity"), "warning");
}

TEST_F(Script, OneThatIsNotThere) {
  const Report report = check("--check.script=gone.sbatch");
  EXPECT_EQ(report.status, 2);
  expect_error(report, "script.unreadable", 2, "gone.sbatch");
}

}  // namespace
}  // namespace strata::test
