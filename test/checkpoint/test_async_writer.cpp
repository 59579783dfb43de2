// Saving while training goes on: the snapshot's content, the same file as the writer that waits, and failures of the thread.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "checkpoint/sample.hpp"
#include "strata/checkpoint/async_writer.hpp"
#include "strata/checkpoint/reader.hpp"
#include "strata/checkpoint/writer.hpp"
#include "support/ranks_test.hpp"

namespace {
using namespace strata;
using namespace strata::test;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

class AsyncWriter : public RanksTest {
 protected:
  void begin(AsyncCheckpointWriter& writer, const std::string& name, Sample& sample) {
    writer.begin(*comm_, root_ / name, sample.tensors(), sample_run(), sample_launch(), true);
  }
};

TEST_F(AsyncWriter, WritesWhatTheTensorsHeldUntilTheySettled) {
  AsyncCheckpointWriter writer;
  writer.prepare(AsyncCheckpointWriter::snapshot_bytes(Sample(comm_->rank(), comm_->size(), false, 0u).tensors()));
  EXPECT_FALSE(writer.active());
  for (const unsigned salt : {0u, 1u}) {  // the second save reuses the snapshot's memory
    Sample sample(comm_->rank(), comm_->size(), false, salt);
    begin(writer, text("a", salt, ".h5"), sample);
    writer.settle();
    sample.scramble();  // training goes on
    EXPECT_TRUE(writer.active());
    while (!writer.done()) std::this_thread::yield();
    comm_->barrier();
    EXPECT_FALSE(fs::exists(root_ / text("a", salt, ".h5"))) << "the file has its name before the ranks agreed on it";
    comm_->barrier();
    writer.finish(*comm_);
    EXPECT_FALSE(writer.active());
    comm_->barrier();

    Sample same(comm_->rank(), comm_->size(), true, salt);
    write_checkpoint(*comm_, root_ / "waited.h5", same.tensors(), sample_run(), sample_launch(), true);
    comm_->barrier();
    EXPECT_TRUE(read_file(root_ / text("a", salt, ".h5")) == read_file(root_ / "waited.h5"));
    comm_->barrier();
  }
}

TEST_F(AsyncWriter, AFailureInTheThreadOfOneRankIsThrownByFinishOnAll) {
  AsyncCheckpointWriter writer;
  Sample sample(comm_->rank(), comm_->size());
  begin(writer, "a.h5", sample);
  while (!writer.done()) std::this_thread::yield();
  comm_->barrier();
  if (first()) fs::remove(root_ / "a.h5.tmp");  // as good as a failed disk: the rename finds nothing
  comm_->barrier();

  EXPECT_THAT(message_of<DataError>([&] { writer.finish(*comm_); }), HasSubstr("cannot rename"));
  EXPECT_FALSE(writer.active());
  Sample again(comm_->rank(), comm_->size());
  begin(writer, "b.h5", again);  // and the writer can be used again
  writer.finish(*comm_);
  comm_->barrier();
  EXPECT_TRUE(CheckpointReader(root_ / "b.h5").verify().empty());
}

TEST_F(AsyncWriter, ErrorsOfBeginLeaveItInactive) {
  AsyncCheckpointWriter writer;
  Sample sample(comm_->rank(), comm_->size());
  if (first()) sample.tensors()[0].pieces.pop_back();

  EXPECT_THROW(begin(writer, "a.h5", sample), InternalError);
  EXPECT_FALSE(writer.active());
  writer.finish(*comm_);  // nothing to do
}

TEST_F(AsyncWriter, AnAbandonedSaveLeavesNothing) {
  {
    Sample sample(comm_->rank(), comm_->size());
    AsyncCheckpointWriter writer;
    begin(writer, "a.h5", sample);
    if (!first())
      while (!writer.done()) std::this_thread::yield();
    comm_->barrier();
  }
  comm_->barrier();
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(AsyncWriter, SnapshotMemoryIsForeseen) {
  Sample sample(0, 1);
  std::int64_t expected = 0;
  for (const SampleTensor& tensor : sample_tensors()) expected += tensor.elements() * static_cast<std::int64_t>(size_of(tensor.type));
  EXPECT_EQ(AsyncCheckpointWriter::snapshot_bytes(sample.tensors()), expected);
}

}  // namespace
