// The disk's rate: positive, and nothing left behind.
#include <gtest/gtest.h>

#include "strata/base/error.hpp"
#include "strata/io/disk_rate.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

TEST(DiskRate, IsPositiveAndLeavesNothing) {
  const TemporaryFolder folder;
  const DiskRate rate = disk_rate(folder.path(), std::int64_t{16} << 20, 5);
  EXPECT_EQ(rate.bytes, std::int64_t{16} << 20);
  EXPECT_GT(rate.write, 0);
  EXPECT_GT(rate.read, 0);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(DiskRate, StopsWhenTimeIsOver) {
  const TemporaryFolder folder;
  EXPECT_EQ(disk_rate(folder.path(), std::int64_t{64} << 20, 0).bytes, std::int64_t{4} << 20);
}

TEST(DiskRate, AFolderThatIsMissingIsNamed) {
  const TemporaryFolder folder;
  try {
    disk_rate(folder / "gone", 1 << 24, 1);
    FAIL();
  } catch (const DataError& e) {
    EXPECT_NE(std::string(e.what()).find("gone"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace strata::test
