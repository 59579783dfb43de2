// Writing checkpoints by any number of ranks: the same bits however the tensors are split, and all or nothing when a rank fails.
#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include "checkpoint/sample.hpp"
#include "strata/checkpoint/reader.hpp"
#include "strata/checkpoint/writer.hpp"
#include "support/ranks_test.hpp"

namespace {
using namespace strata;
using namespace strata::test;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class Writer : public RanksTest {
 protected:
  /// The reference: everything written by one rank.
  void write_alone(const fs::path& path, int launch_ranks = 1) {
    if (!first()) return;
    Sample sample(0, 1);
    write_checkpoint(*make_self_communicator(), path, sample.tensors(), sample_run(), sample_launch(launch_ranks), true);
  }
  std::size_t files() const { return static_cast<std::size_t>(std::distance(fs::directory_iterator(root_), {})); }
};

TEST_F(Writer, AnySplitGivesTheSameBytes) {
  write_alone(root_ / "alone.h5");
  for (const bool runs : {false, true}) {
    Sample sample(comm_->rank(), comm_->size(), runs);
    write_checkpoint(*comm_, root_ / "together.h5", sample.tensors(), sample_run(), sample_launch(), true);
    comm_->barrier();
    if (first()) {
      EXPECT_TRUE(read_file(root_ / "alone.h5") == read_file(root_ / "together.h5"));
    }
    comm_->barrier();
  }
  EXPECT_EQ(files(), 2u);  // the second save replaced the first; nothing temporary is left
}

TEST_F(Writer, StockDiffFindsNothingButTheLaunch) {
  write_alone(root_ / "alone.h5", 1);
  Sample sample(comm_->rank(), comm_->size());
  write_checkpoint(*comm_, root_ / "together.h5", sample.tensors(), sample_run(), sample_launch(comm_->size() + 100), true);
  if (!first()) return;
  if (run_command("h5diff --version").status != 0) GTEST_SKIP() << "h5diff is not installed (package hdf5-tools)";
  const std::string files = (root_ / "alone.h5").string() + " " + (root_ / "together.h5").string();

  const CommandResult without = run_command("h5diff -c --exclude-path /run/launch " + files);
  EXPECT_EQ(without.status, 0) << without.out << without.err;
  const CommandResult with = run_command("h5diff -c " + files);
  EXPECT_EQ(with.status, 1) << "h5diff is expected to see the launch record";
}

TEST_F(Writer, TensorOrderOfTheCallerDoesNotMatter) {
  write_alone(root_ / "alone.h5");
  Sample sample(comm_->rank(), comm_->size());
  std::reverse(sample.tensors().begin(), sample.tensors().end());
  write_checkpoint(*comm_, root_ / "reversed.h5", sample.tensors(), sample_run(), sample_launch(), false);
  comm_->barrier();
  if (first()) {
    EXPECT_TRUE(read_file(root_ / "alone.h5") == read_file(root_ / "reversed.h5"));
  }
}

TEST_F(Writer, EveryRankReadsEveryElementBack) {
  Sample sample(comm_->rank(), comm_->size());
  write_checkpoint(*comm_, root_ / "sub/folder/a.h5", sample.tensors(), sample_run(), sample_launch(), true);
  comm_->barrier();

  const CheckpointReader reader(root_ / "sub/folder/a.h5");
  for (const SampleTensor& tensor : sample_tensors()) {
    std::vector<unsigned char> back(static_cast<std::size_t>(tensor.elements()) * size_of(tensor.type));
    reader.read(tensor.path, 0, tensor.elements(), back.data());
    EXPECT_EQ(back, sample_bytes(tensor)) << tensor.path;
  }
  EXPECT_TRUE(reader.verify().empty());
}

TEST_F(Writer, SizeIsForeseen) {
  Sample sample(comm_->rank(), comm_->size());
  write_checkpoint(*comm_, root_ / "a.h5", sample.tensors(), sample_run(), sample_launch(), true);
  comm_->barrier();
  const auto actual = static_cast<std::int64_t>(fs::file_size(root_ / "a.h5")), foreseen = checkpoint_bytes(sample.tensors());

  EXPECT_GE(foreseen, actual);
  EXPECT_LE(foreseen, actual + actual / 20 + (512 << 10));
}

TEST_F(Writer, AFailureOfOneRankFailsAllAndLeavesTheOldFile) {
  write_alone(root_ / "a.h5");
  comm_->barrier();
  const std::string before = first() ? read_file(root_ / "a.h5") : "";
  Sample sample(comm_->rank(), comm_->size());
  const int last = comm_->size() - 1;
  if (comm_->rank() == last) sample.tensors()[0].pieces.back().first += 1;

  const std::string message =
      message_of<InternalError>([&] { write_checkpoint(*comm_, root_ / "a.h5", sample.tensors(), sample_run(), sample_launch(), true); });

  EXPECT_THAT(message, HasSubstr("/model/model.layers.0.mlp.up_proj.weight"));
  if (comm_->rank() != last) {
    EXPECT_THAT(message, HasSubstr(text("rank ", last, " ")));
  }
  if (first()) {
    EXPECT_TRUE(read_file(root_ / "a.h5") == before);
    EXPECT_EQ(files(), 1u);
  }
}

TEST_F(Writer, HolesAndOverlapsAreFoundBeforeAnythingIsWritten) {
  const auto attempt = [&](const std::function<void(std::vector<CheckpointTensor>&)>& spoil) {
    Sample sample(comm_->rank(), comm_->size());
    spoil(sample.tensors());
    return message_of<InternalError>(
        [&] { write_checkpoint(*comm_, root_ / "a.h5", sample.tensors(), sample_run(), sample_launch(), true); });
  };
  EXPECT_THAT(attempt([&](auto& tensors) {
                if (first()) tensors[0].pieces.erase(tensors[0].pieces.begin());
              }),
              HasSubstr("up_proj.weight: "));
  EXPECT_THAT(attempt([&](auto& tensors) {
                if (first()) tensors[0].pieces.push_back(tensors[0].pieces[0]);
              }),
              HasSubstr("overlap"));
  EXPECT_THAT(attempt([&](auto& tensors) { tensors.push_back(tensors[0]); }), HasSubstr("named twice"));
  EXPECT_THAT(attempt([&](auto& tensors) { tensors[0].path = "/run/x"; }), HasSubstr("neither under /model nor under /optimizer"));
  if (comm_->size() > 1) {
    EXPECT_THAT(attempt([&](auto& tensors) {
                  if (first()) tensors[2].shape = {7, 11};
                }),
                HasSubstr("the ranks do not name the same tensors"));
  }
  comm_->barrier();
  EXPECT_EQ(files(), 0u);
}

TEST_F(Writer, AFolderThatCannotBeMadeIsNamed) {
  if (first()) write_file(root_ / "plain", "");
  comm_->barrier();
  Sample sample(comm_->rank(), comm_->size());
  const std::string message =
      message_of<DataError>([&] { write_checkpoint(*comm_, root_ / "plain/a.h5", sample.tensors(), sample_run(), sample_launch(), true); });
  EXPECT_THAT(message, HasSubstr("cannot make the folder for checkpoints: Not a directory"));
}

// A disk of 400 kB, of which an old checkpoint takes more than half: the second does not fit.
TEST_F(Writer, AFullDiskFailsEverywhereAndLeavesTheOldFile) {
  const bool mounted = first() && ::mount("tmpfs", root_.c_str(), "tmpfs", 0, "size=400k") == 0;
  if (comm_->all_max(mounted) == 0) GTEST_SKIP() << "mounting a small tmpfs is not permitted here";
  Sample sample(comm_->rank(), comm_->size());
  write_checkpoint(*comm_, root_ / "a.h5", sample.tensors(), sample_run(), sample_launch(), true);
  comm_->barrier();
  const std::string before = read_file(root_ / "a.h5");

  const std::string message =
      message_of<CapacityError>([&] { write_checkpoint(*comm_, root_ / "b.h5", sample.tensors(), sample_run(), sample_launch(), true); });

  EXPECT_THAT(message, HasSubstr("b.h5.tmp"));
  EXPECT_THAT(message, HasSubstr("free there"));
  comm_->barrier();
  EXPECT_EQ(files(), 1u);
  EXPECT_TRUE(read_file(root_ / "a.h5") == before);
  EXPECT_TRUE(CheckpointReader(root_ / "a.h5").verify().empty());
  comm_->barrier();
  if (mounted) ::umount2(root_.c_str(), MNT_DETACH);
}

}  // namespace
