// A writer killed at any moment: the folder always holds a sound checkpoint to resume from, the last one that was finished or a newer one.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>

#include "checkpoint/sample.hpp"
#include "strata/checkpoint/catalogue.hpp"
#include "strata/checkpoint/reader.hpp"
#include "strata/checkpoint/writer.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;
using namespace strata::test;

/// Saves step after step and publishes each finished one, until it is killed.
[[noreturn]] void save_forever(const std::filesystem::path& folder, std::atomic<std::int64_t>& finished) {
  CheckpointConfig config;
  config.keep = 2;
  Sample sample(0, 1);
  const auto comm = make_self_communicator();
  for (std::int64_t step = finished + 1;; ++step) {
    const std::string name = checkpoint_file_name(config.name, step, 0, 0);
    write_checkpoint(*comm, folder / name, sample.tensors(), sample_run(step), sample_launch(), false);
    finished = step;
    update_catalogue(folder, name, step % 3 == 0, config);
  }
}

TEST(Crash, AKilledWriterLeavesASoundCheckpoint) {
  const TemporaryFolder folder;
  void* const shared = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  auto& finished = *new (shared) std::atomic<std::int64_t>(0);
  for (int round = 0; round < 25; ++round) {
    const std::int64_t before = finished;
    const pid_t child = ::fork();
    if (child == 0) save_forever(folder.path(), finished);
    while (finished < before + 1 + round % 3) ::usleep(200);
    ::usleep(static_cast<useconds_t>(round * 977 % 9000));  // into the middle of a later save
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);

    std::vector<std::string> notes;
    const auto found = find_resumable(folder.path(), notes);
    ASSERT_TRUE(found.has_value()) << "round " << round;
    for (const std::string& note : notes) ADD_FAILURE() << "round " << round << ": " << note;
    const CheckpointReader reader(*found);
    // `latest` is replaced after the rename, so a kill between the two costs one save. The next round continues from what was found, as a
    // run does: continuing from the count of saves would let two such kills in a row add up.
    EXPECT_GE(reader.run().step, finished - 1) << "round " << round;
    finished = reader.run().step;
  }
  EXPECT_GE(finished, 24) << "round r makes at least 1 + r % 3 saves and loses one at most";
  ::munmap(shared, 4096);
}

}  // namespace
