// The folder of checkpoints: names, what is listed, what is resumed from when some are damaged, and what is deleted.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/sample.hpp"
#include "strata/checkpoint/catalogue.hpp"
#include "strata/checkpoint/reader.hpp"
#include "strata/checkpoint/writer.hpp"
#include "strata/io/file.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;
using namespace strata::test;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
namespace fs = std::filesystem;

const double nan_value = std::numeric_limits<double>::quiet_NaN();

TEST(CheckpointFileName, FillsFields) {
  EXPECT_EQ(checkpoint_file_name("step_{step:06d}", 500, 1.5, 2.0), "step_000500.h5");
  EXPECT_EQ(checkpoint_file_name("qwen3_0_6b-{step}steps", 500, 1.5, 2.0), "qwen3_0_6b-500steps.h5");
  EXPECT_EQ(checkpoint_file_name("epoch={epoch:02d}-loss={loss:.2f}", 1, 3.9, 2.345), "epoch=03-loss=2.35.h5");
  EXPECT_EQ(checkpoint_file_name("{epoch}_{epoch:.2f}_{loss}", 1, 3.25, nan_value), "3_3.25_nan.h5");
  EXPECT_EQ(checkpoint_file_name("last", 1, 0, 0), "last.h5");
  EXPECT_EQ(checkpoint_file_name("last.h5", 1, 0, 0), "last.h5");
  EXPECT_EQ(checkpoint_file_name("s{step:06d}", 12345678, 0, 0), "s12345678.h5");
}

TEST(CheckpointFileName, RefusesWhatIsNoFileName) {
  const auto refusal = [](const std::string& pattern) { return message_of<DeckError>([&] { checkpoint_file_name(pattern, 1, 1, 1); }); };
  EXPECT_THAT(refusal("{stpe}"),
              HasSubstr("checkpoint.name = {stpe}: {stpe} is not a field; expected a file name with fields such as {step:06d}"));
  EXPECT_THAT(refusal("{step:%d}"), HasSubstr("is not a field"));
  EXPECT_THAT(refusal("{step:.2f}"), HasSubstr("decimals of a whole number"));
  EXPECT_THAT(refusal("{step"), HasSubstr("'{' without '}'"));
  EXPECT_THAT(refusal("step}"), HasSubstr("'}' without '{'"));
  EXPECT_THAT(refusal("../{step}"), HasSubstr("start with a dot"));
  EXPECT_THAT(refusal("a/{step}"), HasSubstr("slashes"));
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal(std::string(300, 'x')), HasSubstr("200 bytes"));
}

class Catalogue : public ::testing::Test {
 protected:
  std::string save(std::int64_t step, double validation_loss = nan_value, const std::string& f1 = "") {
    const std::string name = checkpoint_file_name("step_{step:06d}", step, 0, 0);
    RunRecord run = sample_run(step);
    run.validation_loss = validation_loss;
    if (!f1.empty()) run.extra[validation_f1_name] = f1;
    Sample sample(0, 1);
    write_checkpoint(*make_self_communicator(), folder_ / name, sample.tensors(), run, sample_launch(), false);
    return name;
  }
  void damage(const std::string& name) {
    const std::int64_t offset = CheckpointReader(folder_ / name).info("/model/model.norm.weight").offset;
    FileHandle(folder_ / name, FileHandle::Mode::write_existing).write_at("damage", 6, offset);
  }
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& entry : fs::directory_iterator(folder_.path())) result.push_back(entry.path().filename());
    std::sort(result.begin(), result.end());
    return result;
  }
  std::string resumable() {
    notes_.clear();
    const auto found = find_resumable(folder_.path(), notes_);
    return found ? found->filename().string() : "nothing";
  }
  TemporaryFolder folder_;
  std::vector<std::string> notes_;
};

TEST_F(Catalogue, ListsCheckpointsByStepAndLeavesOutTheRest) {
  save(20, 3.5), save(3);
  write_file(folder_ / "text.h5", "no HDF5");
  write_file(folder_ / "step_000030.h5.tmp", "unfinished");
  h5::create_file(folder_ / "tokens.h5", {}, {{"/", "format", std::string("strata tokens")}});

  const std::vector<CheckpointEntry> list = list_checkpoints(folder_.path());
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].step, 3);
  EXPECT_TRUE(std::isnan(list[0].validation_loss));
  EXPECT_EQ(list[1].path, folder_ / "step_000020.h5");
  EXPECT_EQ(list[1].validation_loss, 3.5);
  EXPECT_THAT(list_checkpoints(folder_ / "missing"), IsEmpty());
}

TEST_F(Catalogue, ResumesFromTheOneLatestNames) {
  save(10), save(20);
  EXPECT_EQ(resumable(), "step_000020.h5");
  write_file(folder_ / "latest", "step_000010.h5\n");
  EXPECT_EQ(resumable(), "step_000010.h5");
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(Catalogue, ALaterOneFinishedAfterLatestWasWrittenGoesFirst) {
  save(10);
  update_catalogue(folder_.path(), "step_000010.h5", false, CheckpointConfig());
  save(20);  // and killed before `latest` is replaced
  fs::last_write_time(folder_ / "latest", fs::last_write_time(folder_ / "step_000020.h5") - std::chrono::seconds(1));
  EXPECT_EQ(resumable(), "step_000020.h5");
  damage("step_000020.h5");
  fs::last_write_time(folder_ / "step_000020.h5", fs::last_write_time(folder_ / "latest") + std::chrono::seconds(1));
  EXPECT_EQ(resumable(), "step_000010.h5");
  EXPECT_EQ(notes_.size(), 1u);
}

TEST_F(Catalogue, RemovesWhatWasLeftUnfinished) {
  save(10);
  for (const char* name : {"step_000020.h5.tmp", "latest.12ab.tmp", "best.34.tmp", "notes.tmp"}) write_file(folder_ / name, "x");
  remove_unfinished(folder_.path());
  EXPECT_THAT(names(), ElementsAre("notes.tmp", "step_000010.h5"));
}

TEST_F(Catalogue, PassesOverDamagedOnesWithANote) {
  save(10), save(20), save(30), save(40);
  write_file(folder_ / "latest", "step_000040.h5\n");
  damage("step_000040.h5");
  fs::resize_file(folder_ / "step_000030.h5", fs::file_size(folder_ / "step_000030.h5") / 2);

  EXPECT_EQ(resumable(), "step_000020.h5");
  ASSERT_EQ(notes_.size(), 2u);
  EXPECT_THAT(notes_[0], HasSubstr("step_000030.h5 is passed over: "));
  EXPECT_THAT(notes_[0], HasSubstr("cut short"));
  EXPECT_THAT(notes_[1], HasSubstr("step_000040.h5 is passed over: "));
  EXPECT_THAT(notes_[1], HasSubstr("/model/model.norm.weight: elements 0..76 differ from their checksum"));
}

TEST_F(Catalogue, NothingToResumeFrom) {
  EXPECT_EQ(resumable(), "nothing");
  save(10);
  damage("step_000010.h5");
  EXPECT_EQ(resumable(), "nothing");
  EXPECT_EQ(notes_.size(), 1u);
  EXPECT_FALSE(find_resumable(folder_ / "missing", notes_).has_value());
}

TEST_F(Catalogue, LatestIsNotFollowedOutOfTheFolder) {
  save(10);
  for (const char* content : {"../step_000020.h5", "/etc/passwd", "", "a\nb", "..", "step_000099.h5"}) {
    write_file(folder_ / "latest", content);
    EXPECT_EQ(resumable(), "step_000010.h5") << content;
    EXPECT_EQ(notes_.size(), 1u) << content;
  }
}

TEST_F(Catalogue, AFileNamedItselfIsTakenOrRefused) {
  save(10), save(20);
  EXPECT_EQ(find_resumable(folder_ / "step_000010.h5", notes_), folder_ / "step_000010.h5");
  damage("step_000010.h5");
  EXPECT_THAT(message_of<DataError>([&] { find_resumable(folder_ / "step_000010.h5", notes_); }), HasSubstr("elements 0..76 differ"));
}

TEST_F(Catalogue, KeepsTheNewestAndTheBest) {
  CheckpointConfig config;
  config.keep = 2, config.keep_best = 1;
  const double losses[] = {5, 2, 4, 3, 3.5};
  for (int i = 0; i < 5; ++i) {
    const std::string name = save(10 * (i + 1), losses[i]);
    update_catalogue(folder_.path(), name, losses[i] == 2, config);
  }
  EXPECT_THAT(names(), ElementsAre("best", "latest", "step_000020.h5", "step_000040.h5", "step_000050.h5"));
  EXPECT_EQ(read_file(folder_ / "latest"), "step_000050.h5\n");
  EXPECT_EQ(read_file(folder_ / "best"), "step_000020.h5\n");
}

// Where answers are scored the loss does not decide.
TEST_F(Catalogue, KeepsTheHighestF1) {
  CheckpointConfig config;
  config.keep = 1, config.keep_best = 1;
  save(10, 1.5, "80.25"), save(20, 1.0, "79.5"), save(30, 2.0, "9.5");
  update_catalogue(folder_.path(), save(40), false, config);
  EXPECT_EQ(list_checkpoints(folder_.path())[0].validation_f1, 80.25);
  EXPECT_THAT(names(), ElementsAre("latest", "step_000010.h5", "step_000040.h5"));
}

TEST_F(Catalogue, KeepZeroKeepsAllAndBestIsNeverDeleted) {
  CheckpointConfig config;
  config.keep = 0, config.keep_best = 0;
  for (int i = 1; i <= 4; ++i) update_catalogue(folder_.path(), save(i), i == 1, config);
  EXPECT_EQ(list_checkpoints(folder_.path()).size(), 4u);
  config.keep = 1;
  update_catalogue(folder_.path(), save(5), false, config);
  EXPECT_THAT(names(), ElementsAre("best", "latest", "step_000001.h5", "step_000005.h5"));
}

TEST_F(Catalogue, DeletesLeftoversButNoStrangers) {
  CheckpointConfig config;
  config.keep = 1;
  save(1);
  for (const char* name : {"step_000009.h5.tmp", "latest.12ab.tmp", "notes.tmp", "notes.txt", "broken.h5"}) write_file(folder_ / name, "x");
  update_catalogue(folder_.path(), save(2), false, config);

  EXPECT_THAT(names(), ElementsAre("broken.h5", "latest", "notes.tmp", "notes.txt", "step_000002.h5"));
}

TEST_F(Catalogue, TheOneJustWrittenStaysEvenBelowOldSteps) {
  CheckpointConfig config;
  config.keep = 1, config.keep_best = 0;
  save(100);
  update_catalogue(folder_.path(), save(5), false, config);  // a run restarted from the beginning in an old folder
  EXPECT_THAT(names(), ElementsAre("latest", "step_000005.h5", "step_000100.h5"));
  EXPECT_EQ(resumable(), "step_000005.h5");
}

}  // namespace
