// safetensors written by the reference implementation (shared/golden/models, made with PyTorch): read, and written again byte for byte.
#include <gtest/gtest.h>

#include "strata/io/safetensors.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;

TEST(SafetensorsGolden, RewritingGivesTheSameBytes) {
  const std::filesystem::path models = test::shared_dir() / "golden" / "models";
  if (test::shared_dir().empty()) GTEST_SKIP() << "../shared is absent";
  int files = 0;
  for (const auto& found : std::filesystem::recursive_directory_iterator(models)) {
    if (found.path().extension() != ".safetensors") continue;
    SCOPED_TRACE(found.path().string());
    const SafetensorsReader reader(found.path());
    ASSERT_FALSE(reader.tensors().empty());
    std::vector<SafetensorsItem> items;
    for (const auto& [name, entry] : reader.tensors()) items.push_back({name, entry.type, entry.shape});
    const test::TemporaryFolder folder;
    SafetensorsWriter writer(folder / "copy.safetensors", items, reader.metadata());
    for (const auto& [name, entry] : reader.tensors()) {
      std::vector<char> data(static_cast<std::size_t>(entry.bytes()));
      reader.read(entry, 0, entry.elements(), data.data());
      writer.fill(name, 0, entry.elements(), data.data());
    }
    writer.commit();
    EXPECT_TRUE(test::read_file(folder / "copy.safetensors") == test::read_file(found.path()));
    ++files;
  }
  EXPECT_GE(files, 6);
}

}  // namespace
