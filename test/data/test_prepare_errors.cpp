// prepare under bad input and bad disks: the same message on every rank, and no half file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <memory>

#include "data/prepare_test.hpp"
#include "strata/base/error.hpp"
#include "strata/data/token_file.hpp"

namespace strata {
namespace {
using test::message_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class PrepareErrors : public test::PrepareTest {
 protected:
  PrepareErrors() : PrepareTest("tokens.h5") {}
  /// The message, which must be the same everywhere (other ranks may name the failing rank before it), and nothing may be left behind.
  std::string failure() {
    const std::string message = message_of([&] { run(); });
    comm_->barrier();
    std::vector<std::string> left;
    for (const auto& entry : fs::directory_iterator(root_))
      if (entry.path().filename().string().find("tokens") == 0) left.push_back(entry.path().filename().string());
    EXPECT_THAT(left, ElementsAre()) << "left by: " << message;
    comm_->barrier();
    return message;
  }
};

/// 3 MB of lines (24 blocks, dealt to every rank) with two that are not UTF-8.
std::string lines_with_two_bad() {
  std::string result;
  for (int line = 1; line <= 30000; ++line) result += (line == 12345 || line == 20000 ? "bad \xff line" : std::string(100, 'a')) + "\n";
  return result;
}

TEST_F(PrepareErrors, NamesTheFirstBadDocumentOnEveryRank) {
  write("in.txt", lines_with_two_bad());
  tools_.threads = 2;

  const std::string message = failure();

  EXPECT_THAT(message, AllOf(HasSubstr("in.txt:12345: the text is not UTF-8: byte 1246748 of the file, 0xff"),
                             HasSubstr("prepare.on_error = skip")));
  for (const std::string& other : all_gather_text(*comm_, message)) EXPECT_EQ(other, message);
}

TEST_F(PrepareErrors, SkipsAndCountsBadDocuments) {
  write("in.txt", lines_with_two_bad());
  config_.on_error = "skip";

  const PrepareSummary summary = run();

  EXPECT_EQ(summary.documents, 29998);
  EXPECT_EQ(summary.skipped, 2);
  EXPECT_THAT(summary.problems, ElementsAre(HasSubstr("in.txt:12345: "), HasSubstr("in.txt:20000: ")));
  EXPECT_EQ(TokenFileReader(config_.output).info().documents, 29998);
}

TEST_F(PrepareErrors, ReplacesAndCountsWhatIsNotUtf8) {
  write("in.txt", lines_with_two_bad());
  config_.invalid_utf8 = "replace";

  const PrepareSummary summary = run();

  EXPECT_EQ(summary.documents, 30000);
  EXPECT_EQ(summary.skipped, 0);
  EXPECT_EQ(summary.repaired, 2);
  EXPECT_THAT(summary.problems, ElementsAre(HasSubstr("in.txt:12345: "), HasSubstr("in.txt:20000: ")));
  EXPECT_EQ(TokenFileReader(config_.output).info().documents, 30000);
}

TEST_F(PrepareErrors, StopsAtInvalidUtf8ThoughOtherDocumentsAreSkipped) {
  write("in.txt", "{\"text\": 3}\n{\"text\": \"bad \xff\"}\n{\"text\": \"good\"}\n");
  config_.format = "jsonl", config_.on_error = "skip", config_.invalid_utf8 = "stop";
  EXPECT_THAT(failure(), HasSubstr("in.txt:2: the text is not UTF-8"));
  config_.on_error = "stop", config_.invalid_utf8 = "skip";
  EXPECT_THAT(failure(), HasSubstr("in.txt:1: field \"text\" is expected to be a string"));
  config_.on_error = "skip";
  EXPECT_EQ(run().skipped, 2);
}

TEST_F(PrepareErrors, ABadDocumentBeforeATruncatedFileIsTheFirstError) {
  write("a", std::string(300000, 'a') + "\n" + std::string(300000, 'b') + "\n");
  write("in.txt", "bad \xff\n");
  if (comm_->rank() == 0) {
    ASSERT_EQ(test::run_command("cd " + root_.string() + " && gzip -k a && truncate -s -4 a.gz").status, 0);
  }
  comm_->barrier();
  config_.input.push_back((root_ / "a.gz").string());

  EXPECT_THAT(failure(), HasSubstr("in.txt:1: the text is not UTF-8"));
  config_.on_error = "skip";
  EXPECT_THAT(failure(), AllOf(HasSubstr("a.gz"), HasSubstr("cut short"))) << "a damaged file is never skipped";
}

TEST_F(PrepareErrors, NamesIdsBeyondTheVocabulary) {
  write("in.txt", "{\"input_ids\": [1, 2]}\n{\"input_ids\": [1, 2, 50]}\n");
  config_.format = "ids", config_.vocabulary = 50, config_.separator = "none";
  tools_.tokenizer = nullptr;

  EXPECT_THAT(failure(), HasSubstr("in.txt:2: input_ids[2] = 50: expected a token id from 0 to 49"));
}

TEST_F(PrepareErrors, RefusesBadSettingsByName) {
  write("in.txt", "a\n");
  const PrepareConfig good = config_;
  const auto with = [&](auto change) {
    config_ = good;
    change();
    return failure();
  };

  EXPECT_THAT(with([&] { config_.separator = "<pad>"; }), HasSubstr("prepare.separator = <pad>: the tokenizer fake has no such token"));
  EXPECT_THAT(with([&] { config_.pack = "best"; }), HasSubstr("prepare.pack = best"));
  EXPECT_THAT(with([&] { config_.on_error = "ignore"; }), HasSubstr("prepare.on_error = ignore: expected stop or skip"));
  EXPECT_THAT(with([&] { config_.invalid_utf8 = "hide"; }),
              HasSubstr("prepare.invalid_utf8 = hide: expected on_error, stop, skip or replace"));
  EXPECT_THAT(with([&] { config_.normalise = "nfd"; }), HasSubstr("prepare.normalise = nfd: expected none or nfc"));
  EXPECT_THAT(with([&] { config_.split = 1.5; }), HasSubstr("prepare.split = 1.5: expected a share in [0, 1)"));
  EXPECT_THAT(with([&] { config_.pack = "concat", config_.sequence = 1; }), HasSubstr("prepare.sequence = 1"));
  EXPECT_THAT(with([&] { config_.truncate = -1; }), HasSubstr("prepare.truncate = -1"));
  EXPECT_THAT(with([&] { config_.output = ""; }), HasSubstr("prepare.output is not set"));
  EXPECT_THAT(with([&] { config_.input = {(root_ / "none*").string()}; }), HasSubstr("no file matches"));
  EXPECT_THAT(with([&] { config_.split = 0.5, config_.validation_output = config_.output; }), HasSubstr("name the same file"));
  tools_.tokenizer = nullptr;
  EXPECT_THAT(with([] {}), HasSubstr("prepare.format = text needs tokenizer.path"));
  EXPECT_THAT(with([&] { config_.format = "ids"; }), HasSubstr("prepare.vocabulary"));
  EXPECT_THAT(with([&] { config_.format = "ids", config_.vocabulary = 5, config_.separator = "5"; }),
              HasSubstr("prepare.separator = 5: without tokenizer.path expected none or a token id from 0 to 4"));
}

TEST_F(PrepareErrors, TellsInputsThatGiveNoFile) {
  write("in.txt", "");
  EXPECT_THAT(failure(), HasSubstr("the input holds no tokens"));
  write("in.txt", "ab\ncd\n");
  config_.pack = "concat", config_.sequence = 100;
  EXPECT_THAT(failure(), HasSubstr("the train share has 6 tokens, which fill no sequence of 100"));
  config_.pack = "stream", config_.split = 0.001;
  EXPECT_THAT(failure(), HasSubstr("prepare.split = 0.001 leaves no document for validation: the input has 2 documents"));
}

/// Limits the size of this process's files while it lives: writes then fail as on a full disk, at a known place.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) : signal_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit tight{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &tight);
  }
  ~FileLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, signal_);
  }
  FileLimit(const FileLimit&) = delete;
  FileLimit& operator=(const FileLimit&) = delete;

 private:
  void (*signal_)(int);
  rlimit before_{};
};

TEST_F(PrepareErrors, AFileThatCannotGrowLeavesNothingAndNoRankWaits) {
  write("in.txt", lines_with_two_bad());
  config_.on_error = "skip";
  const bool is_last = comm_->rank() == comm_->size() - 1;
  // The output has 6 MB. First its ids do not fit the last rank's store; then, with three ranks, whose stores have 2 MB each, the last rank
  // fails while it copies into the output.
  std::vector<rlim_t> limits{is_last ? rlim_t{1} << 20 : RLIM_INFINITY};
  if (comm_->size() == 3) limits.push_back(is_last ? rlim_t{4} << 20 : RLIM_INFINITY);
  for (const rlim_t limit : limits) {
    std::string message;
    {
      const FileLimit tight(limit);
      message = failure();
    }
    EXPECT_THAT(message, HasSubstr("File too large"));
  }
}

TEST_F(PrepareErrors, AFailedRunKeepsTheFileThatWasThere) {
  write("in.txt", "ab\n");
  run();
  const std::string before = test::read_file(config_.output);
  write("in.txt", "a\xff\n");
  EXPECT_THAT(message_of([&] { run(); }), HasSubstr("not UTF-8"));
  EXPECT_EQ(test::read_file(config_.output), before);
}

}  // namespace
}  // namespace strata
