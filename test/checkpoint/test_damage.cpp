// Flipped bits and truncations all over a small checkpoint: each gives an error or the right data, never a crash, a hang or wrong data.
#include <algorithm>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "checkpoint/sample.hpp"
#include "strata/checkpoint/reader.hpp"
#include "strata/checkpoint/writer.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;
using namespace strata::test;

enum Outcome { refused = 10, right_data = 11, wrong_data = 12, other_error = 13 };

Outcome read_everything(const std::filesystem::path& path) {
  try {
    const CheckpointReader reader(path);
    if (reader.run().step != 500 || reader.run().deck != sample_run().deck) return wrong_data;
    if (reader.tensors().size() != sample_tensors().size()) return wrong_data;
    for (const SampleTensor& tensor : sample_tensors()) {
      if (reader.info(tensor.path).type != tensor.type || reader.info(tensor.path).shape != tensor.shape) return wrong_data;
      std::vector<unsigned char> back(static_cast<std::size_t>(tensor.elements()) * size_of(tensor.type));
      reader.read(tensor.path, 0, tensor.elements(), back.data());
      if (back != sample_bytes(tensor)) return wrong_data;
    }
    return right_data;
  } catch (const DataError&) {
    return refused;
  } catch (...) {
    return other_error;
  }
}

/// Reads in a child, so that a crash of the library or a hang is seen as such. [exit status, or 128 + signal]
int outcome_of(const std::filesystem::path& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::alarm(20);
    ::_exit(read_everything(path));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

class Damage : public ::testing::Test {
 protected:
  Damage() {
    Sample sample(0, 1);
    write_checkpoint(*make_self_communicator(), folder_ / "sound.h5", sample.tensors(), sample_run(), sample_launch(), false);
    sound_ = read_file(folder_ / "sound.h5");
  }
  int outcome_of_bytes(const std::string& bytes) {
    write_file(folder_ / "damaged.h5", bytes);
    return outcome_of(folder_ / "damaged.h5");
  }
  void flip_and_count(std::size_t bit, std::map<int, int>& counts) {
    std::string bytes = sound_;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    const int outcome = outcome_of_bytes(bytes);
    ++counts[outcome];
    EXPECT_TRUE(outcome == refused || outcome == right_data) << "bit " << bit % 8 << " of byte " << bit / 8 << " gave " << outcome;
  }
  TemporaryFolder folder_;
  std::string sound_;
};

TEST_F(Damage, TheSoundFileIsRight) {
  EXPECT_EQ(outcome_of(folder_ / "sound.h5"), right_data);
}

// Offsets from a fixed multiplicative sequence: the same ones in every run.
TEST_F(Damage, FlippedBitsAnywhere) {
  std::map<int, int> counts;
  std::uint64_t state = 88172645463325252u;
  for (int i = 0; i < 400; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    flip_and_count(static_cast<std::size_t>(state >> 20) % (sound_.size() * 8), counts);
  }
  EXPECT_GT(counts[refused], 200) << "most of the file is data, and damage to it is to be found";
}

// The structure: everything that is not a tensor's or checksum's bytes, taken at every 3rd byte, plus the whole superblock.
TEST_F(Damage, FlippedBitsInTheStructure) {
  std::vector<bool> bulk(sound_.size());
  const h5::File file(folder_ / "sound.h5");
  for (const std::string& path : file.datasets_below("/")) {
    const h5::DatasetInfo info = file.dataset(path);
    if (info.offset >= 0) std::fill_n(bulk.begin() + info.offset, info.bytes(), true);
  }
  std::map<int, int> counts;
  int number = 0;
  for (std::size_t byte = 0; byte < sound_.size(); ++byte) {
    if (bulk[byte] || sound_[byte] == '#') continue;  // the deck's 10,000 '#' would be most of it
    if (byte > 96 && ++number % 23 != 0) continue;
    flip_and_count(byte * 8 + byte % 8, counts);
  }
  EXPECT_GT(counts[refused], 100);
}

TEST_F(Damage, Truncations) {
  for (std::size_t i = 0; i < 60; ++i) {
    const std::size_t size = i < 10 ? i * 20 : sound_.size() * i / 60;
    EXPECT_EQ(outcome_of_bytes(sound_.substr(0, size)), refused) << size << " bytes of " << sound_.size();
  }
  EXPECT_EQ(outcome_of_bytes(sound_.substr(0, sound_.size() - 1)), refused);
}

TEST_F(Damage, ZeroedPages) {
  for (std::size_t at = 0; at < sound_.size(); at += 4096) {
    std::string bytes = sound_;
    for (std::size_t i = at; i < std::min(bytes.size(), at + 4096); ++i) bytes[i] = 0;
    const int outcome = outcome_of_bytes(bytes);
    EXPECT_TRUE(outcome == refused || outcome == right_data) << "page at " << at << " gave " << outcome;
  }
}

}  // namespace
