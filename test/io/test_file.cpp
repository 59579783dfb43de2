// Plain files: exact reads, exclusive creation, atomic replacement, hashes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>

#include <functional>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "strata/io/h5.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;
using test::TemporaryFolder;
using ::testing::HasSubstr;

template <class E>
std::string message_of(const std::function<void()>& work) {
  try {
    work();
  } catch (const E& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another class of error: ") + error.what();
  }
  return "no error";
}

TEST(File, WritesAndReadsAtOffsets) {
  const TemporaryFolder folder;
  const FileHandle file(folder / "a b.bin", FileHandle::Mode::create);
  file.write_at("world", 5, 6);
  file.write_at("hello ", 6, 0);
  file.sync();
  file.drop_cache();
  std::string back(11, ' ');
  file.read_at(back.data(), back.size(), 0);

  EXPECT_EQ(back, "hello world");
  EXPECT_EQ(file.size(), 11);
}

TEST(File, ReadingPastTheEndSaysWhere) {
  const TemporaryFolder folder;
  test::write_file(folder / "x", "12345");
  const FileHandle file(folder / "x", FileHandle::Mode::read);
  char buffer[8];

  const std::string message = message_of<DataError>([&] { file.read_at(buffer, 8, 0); });

  EXPECT_THAT(message, HasSubstr("/x: the file ends at byte 5, 3 bytes too early"));
}

TEST(File, CreateRefusesWhatExistsAndNamesTheReason) {
  const TemporaryFolder folder;
  test::write_file(folder / "x", "old");

  EXPECT_THAT(message_of<DataError>([&] { FileHandle(folder / "x", FileHandle::Mode::create); }), HasSubstr("File exists"));
  EXPECT_EQ(test::read_file(folder / "x"), "old");
  EXPECT_THAT(message_of<DataError>([&] { FileHandle(folder / "none", FileHandle::Mode::read); }), HasSubstr("No such file"));
  EXPECT_THAT(message_of<DataError>([&] { FileHandle(folder.path(), FileHandle::Mode::read); }), HasSubstr("found a folder"));
}

TEST(File, AllocateReservesSpaceAndKeepsContent) {
  const TemporaryFolder folder;
  const FileHandle file(folder / "x", FileHandle::Mode::create);
  file.write_at("abc", 3, 0);
  file.allocate(1 << 20);
  std::string back(4, 'x');
  file.read_at(back.data(), 4, 0);

  EXPECT_EQ(file.size(), 1 << 20);
  EXPECT_EQ(back, std::string("abc\0", 4));
}

TEST(File, TextIsReplacedWholeAndNothingIsLeftBeside) {
  const TemporaryFolder folder;
  write_text_atomically(folder / "latest", "one\n");
  write_text_atomically(folder / "latest", "two, and longer\n");

  EXPECT_EQ(read_text(folder / "latest"), "two, and longer\n");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(File, TextsThatBelongTogetherAreReplacedWhenAllAreThere) {
  const TemporaryFolder folder;
  test::write_file(folder / "a", "old");
  const TextFile broken[] = {{folder / "a", "new"}, {folder / "none/b", "new"}}, whole[] = {{folder / "a", "new"}, {folder / "b", "new"}};

  EXPECT_THROW(write_texts_atomically(broken), DataError);
  EXPECT_EQ(read_text(folder / "a"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);

  write_texts_atomically(whole);
  EXPECT_EQ(read_text(folder / "a") + read_text(folder / "b"), "newnew");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 2);
}

TEST(File, ReadTextHasALimit) {
  const TemporaryFolder folder;
  test::write_file(folder / "big", std::string(100, 'x'));

  EXPECT_THAT(message_of<DataError>([&] { read_text(folder / "big", 99); }), HasSubstr("at most 99 bytes, found 100"));
  EXPECT_EQ(read_text(folder / "big", 100).size(), 100u);
}

TEST(File, WritingIntoAMissingFolderLeavesNoTrace) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of<DataError>([&] { write_text_atomically(folder / "none/latest", "x"); }), HasSubstr("No such file"));
  EXPECT_FALSE(std::filesystem::exists(folder / "none"));
}

// Values of the xxHash reference implementation, `xxhsum -H2` (xxhsum 0.8.1).
TEST(File, HashesAreXxh3_128InCanonicalOrder) {
  const TemporaryFolder folder;
  test::write_file(folder / "abc", "abc");

  EXPECT_EQ(xxh3_128("", 0), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(xxh3_128("abc", 3), "06b05ab6733a618578af5f94892f3950");
  EXPECT_EQ(xxh3_128_of_file(folder / "abc"), "06b05ab6733a618578af5f94892f3950");
}

TEST(File, HashOfAFileInPiecesEqualsTheHashOfItsBytes) {
  const TemporaryFolder folder;
  std::string content((std::size_t{17} << 20) + 5, '\0');
  for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<char>(i * 2654435761u >> 24);
  test::write_file(folder / "big", content);

  EXPECT_EQ(xxh3_128_of_file(folder / "big"), xxh3_128(content.data(), content.size()));
}

TEST(File, FreeBytesOfAPathThatDoesNotExistYet) {
  const TemporaryFolder folder;
  EXPECT_GT(free_bytes(folder / "a/b/c"), 0);
}

/// A file system of 64 kB; not mounted where that is not permitted.
class SmallDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=64k") != 0)
      GTEST_SKIP() << "mounting a small tmpfs is not permitted here";
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  TemporaryFolder folder_;
  bool mounted_ = false;
};

TEST_F(SmallDisk, WritingAndReservingTooMuchAreCapacityErrors) {
  const std::string data(100 << 10, 'x');
  {
    const FileHandle file(folder_ / "x", FileHandle::Mode::create);
    EXPECT_THAT(message_of<CapacityError>([&] { file.allocate(100 << 10); }),
                HasSubstr("/x: cannot reserve 102400 bytes: No space left on device ("));
    EXPECT_THAT(message_of<CapacityError>([&] { file.write_at(data.data(), data.size(), 0); }), HasSubstr("No space left on device"));
  }
  std::filesystem::remove(folder_ / "x");
  write_text_atomically(folder_ / "latest", "old");
  EXPECT_THAT(message_of<CapacityError>([&] { write_text_atomically(folder_ / "latest", data); }), HasSubstr("No space left on device"));
  EXPECT_EQ(read_text(folder_ / "latest"), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

// Enough space for the data as announced, too little for the structure: the library itself runs into the full disk, and is usable
// afterwards.
TEST_F(SmallDisk, AnHdf5StructureThatDoesNotFitIsAnError) {
  const std::vector<h5::AttributeSpec> large = {{"/run", "deck", std::string(200 << 10, 'd')}};
  for (int i = 0; i < 3; ++i) {
    EXPECT_THROW(h5::create_file(folder_ / "a.h5", {}, large), Error);
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  }
  h5::create_file(folder_ / "b.h5", {{"/x", DType::u8, {4}}}, {});
  EXPECT_EQ(h5::File(folder_ / "b.h5").dataset("/x").elements(), 4);
}

}  // namespace
