// HDF5 files as Strata makes them: round trips, equal bytes from equal specifications, what stock tools see, and messages for mistakes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"
#include "strata/io/h5.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;
using test::TemporaryFolder;
using ::testing::HasSubstr;

std::string data_error(const std::function<void()>& work) {
  try {
    work();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

const char* const weight = "/model/model.layers.0.mlp.up_proj.weight";

std::vector<h5::DatasetSpec> some_datasets() {
  return {{weight, DType::bf16, {300, 70}},
          {"/optimizer/model.layers.0.mlp.up_proj.weight/exp_avg", DType::f32, {300, 70}},
          {"/empty", DType::f32, {0, 7}},
          {"/scalar", DType::f64, {}},
          {"/half", DType::f16, {3}},
          {"/ids", DType::u16, {5}},
          {"/offsets", DType::i64, {2, 3, 4, 5}}};
}
std::vector<h5::AttributeSpec> some_attributes() {
  std::vector<h5::AttributeSpec> result = {{"/", "format", std::string("test")},
                                           {"/run", "step", std::int64_t{-7}},
                                           {"/run/launch", "loss", std::numeric_limits<double>::quiet_NaN()},
                                           {"/run", "deck", std::string(200000, 'd') + "\n# ümläut"},
                                           {"/run", "none", std::string()},
                                           {weight, "note", std::string("of a dataset")}};
  for (int i = 0; i < 60; ++i) result.push_back({"/run", text("key", i), text("value ", i, std::string(1000, 'v'))});
  return result;
}

TEST(H5, GivesBackWhatWasStored) {
  const TemporaryFolder folder;
  const auto offsets = h5::create_file(folder / "a.h5", some_datasets(), some_attributes());
  std::vector<float> values(300 * 70);
  std::iota(values.begin(), values.end(), -1.0f);
  {
    const FileHandle file(folder / "a.h5", FileHandle::Mode::write_existing);
    file.write_at(values.data(), values.size() * 4, offsets.at("/optimizer/model.layers.0.mlp.up_proj.weight/exp_avg"));
  }

  const h5::File file(folder / "a.h5");
  const h5::DatasetInfo info = file.dataset("/optimizer/model.layers.0.mlp.up_proj.weight/exp_avg");
  std::vector<float> back(1000);
  file.read(info, 20000, 1000, back.data());
  EXPECT_EQ(back, std::vector<float>(values.begin() + 20000, values.end()));
  for (const h5::DatasetSpec& spec : some_datasets()) {
    EXPECT_EQ(file.dataset(spec.path).type, spec.type) << spec.path;
    EXPECT_EQ(file.dataset(spec.path).shape, spec.shape) << spec.path;
    EXPECT_EQ(file.dataset(spec.path).offset, offsets.at(spec.path)) << spec.path;
  }
  EXPECT_EQ(file.dataset("/empty").offset, -1);
  EXPECT_EQ(file.dataset("/scalar").elements(), 1);
  EXPECT_EQ(file.children("/"), (std::vector<std::string>{"empty", "half", "ids", "model", "offsets", "optimizer", "run", "scalar"}));
  EXPECT_EQ(file.datasets_below("/").size(), some_datasets().size());
  EXPECT_EQ(file.datasets_below("/model"), std::vector<std::string>{weight});
}

TEST(H5, GivesBackAttributes) {
  const TemporaryFolder folder;
  h5::create_file(folder / "a.h5", some_datasets(), some_attributes());

  const h5::File file(folder / "a.h5");
  EXPECT_EQ(file.string("/", "format"), "test");
  EXPECT_EQ(file.integer("/run", "step"), -7);
  EXPECT_EQ(file.real("/run", "step"), -7.0);
  EXPECT_TRUE(std::isnan(file.real("/run/launch", "loss")));
  EXPECT_EQ(file.string("/run", "deck"), std::string(200000, 'd') + "\n# ümläut");
  EXPECT_EQ(file.string("/run", "none"), "");
  EXPECT_EQ(file.string(weight, "note"), "of a dataset");
  EXPECT_EQ(file.string("/run", "key59"), text("value 59", std::string(1000, 'v')));
  EXPECT_EQ(file.attribute_names("/run").size(), 63u);
  EXPECT_FALSE(file.has_attribute("/run", "absent"));
  EXPECT_THAT(data_error([&] { file.integer("/run", "deck"); }), HasSubstr("attribute deck of /run is expected to be an integer"));
  EXPECT_THAT(data_error([&] { file.string("/run", "step"); }), HasSubstr("is expected to be a text"));
  EXPECT_THAT(data_error([&] { file.real("/run", "absent"); }), HasSubstr("there is no attribute absent of /run"));
}

TEST(H5, EqualSpecificationsGiveEqualBytes) {
  const TemporaryFolder folder;
  h5::create_file(folder / "a.h5", some_datasets(), some_attributes());
  std::vector<std::string> disturbance(1000, std::string(5000, '\x5a'));  // other content of the heap, should any of it leak into the file
  disturbance.clear();
  h5::create_file(folder / "b.h5", some_datasets(), some_attributes());

  EXPECT_EQ(test::read_file(folder / "a.h5"), test::read_file(folder / "b.h5"));
  EXPECT_EQ(test::read_file(folder / "a.h5").find(std::string(64, '\x5a')), std::string::npos);
}

TEST(H5, LargeDatasetsStartOnPagesAndTheFileHasItsFullSize) {
  const TemporaryFolder folder;
  const auto offsets = h5::create_file(folder / "a.h5", {{"/a", DType::f32, {100000}}, {"/b", DType::u8, {70001}}}, {});

  EXPECT_EQ(offsets.at("/a") % 4096, 0);
  EXPECT_EQ(offsets.at("/b") % 4096, 0);
  EXPECT_GE(std::filesystem::file_size(folder / "a.h5"), static_cast<std::uintmax_t>(offsets.at("/b") + 70001));
}

TEST(H5, ManyDatasetsInOneGroup) {
  const TemporaryFolder folder;
  std::vector<h5::DatasetSpec> specs;
  for (int i = 0; i < 3000; ++i) specs.push_back({text("/model/model.layers.", i, ".w"), DType::f32, {i % 5, 3}});
  h5::create_file(folder / "a.h5", specs, {});

  const h5::File file(folder / "a.h5");
  EXPECT_EQ(file.children("/model").size(), 3000u);
  for (const h5::DatasetSpec& spec : specs) ASSERT_EQ(file.dataset(spec.path).shape, spec.shape);
}

TEST(H5, StockToolsSeeNamesShapesAndAttributes) {
  const TemporaryFolder folder;
  h5::create_file(folder / "a.h5", some_datasets(), some_attributes());
  if (test::run_command("h5dump --version").status != 0) GTEST_SKIP() << "h5dump is not installed (package hdf5-tools)";

  const test::CommandResult list = test::run_command("h5ls -r " + (folder / "a.h5").string());
  EXPECT_EQ(list.status, 0) << list.err;
  EXPECT_THAT(list.out, HasSubstr("/model/model.layers.0.mlp.up_proj.weight Dataset {300, 70}"));
  const test::CommandResult dump =
      test::run_command("h5dump -a /model/model.layers.0.mlp.up_proj.weight/dtype " + (folder / "a.h5").string());
  EXPECT_THAT(dump.out, HasSubstr("(0): \"bf16\""));
}

// Our own parser against the library's writer: groups of every inner form, from links in the header to trees of three levels.
TEST(H5, GroupsOfAnySizeAreReadWhole) {
  const TemporaryFolder folder;
  for (const int members : {1, 8, 9, 46, 1000, 20000}) {
    std::vector<h5::DatasetSpec> specs;
    for (int i = 0; i < members; ++i) specs.push_back({text("/model/layer.", i, ".weight"), DType::f32, {i % 7, 2}});
    const auto path = folder / text(members, ".h5");
    const auto offsets = h5::create_file(path, specs, {});
    const h5::File file(path);
    ASSERT_EQ(file.datasets_below("/").size(), specs.size());
    for (const h5::DatasetSpec& spec : specs) {
      const h5::DatasetInfo info = file.dataset(spec.path);
      ASSERT_EQ(info.shape, spec.shape) << spec.path;
      ASSERT_EQ(info.offset, offsets.at(spec.path)) << spec.path;
    }
  }
}

/// Beyond 64 KiB HDF5 keeps an attribute in a heap, and all others of the object with it.
TEST(H5, LongTextsComeBack) {
  const TemporaryFolder folder;
  for (const std::size_t bytes : {0, 1, 1000, 65000, 65536, 200000}) {
    std::string content(bytes, 'x');
    for (std::size_t i = 0; i < bytes; i += 7) content[i] = static_cast<char>('a' + i % 26);
    const auto path = folder / text(bytes, ".h5");
    h5::create_file(path, {}, {{"/run", "deck", content}, {"/run", "step", std::int64_t{-3}}, {"/run", "loss", 2.5}});
    const h5::File file(path);
    EXPECT_EQ(file.string("/run", "deck"), content);
    EXPECT_EQ(file.integer("/run", "step"), -3);
    EXPECT_EQ(file.real("/run", "loss"), 2.5);
    EXPECT_EQ(file.attribute_names("/run"), (std::vector<std::string>{"deck", "loss", "step"}));
  }
}

TEST(H5, RefusesToOverwrite) {
  const TemporaryFolder folder;
  test::write_file(folder / "a.h5", "precious");

  EXPECT_THAT(data_error([&] { h5::create_file(folder / "a.h5", {}, {}); }), HasSubstr("the file exists and is not overwritten"));
  EXPECT_EQ(test::read_file(folder / "a.h5"), "precious");
}

TEST(H5, MistakenSpecificationsAreNamedAndLeaveNothing) {
  const TemporaryFolder folder;
  const auto create = [&](std::vector<h5::DatasetSpec> specs, std::vector<h5::AttributeSpec> attributes = {}) {
    return data_error([&] { h5::create_file(folder / "a.h5", specs, attributes); });
  };

  EXPECT_THAT(create({{"/a", DType::f32, {1}}, {"/a", DType::f32, {1}}}), HasSubstr("/a is named twice"));
  EXPECT_THAT(create({{"/a", DType::f32, {1}}, {"/a/b", DType::f32, {1}}}), HasSubstr("/a is a dataset"));
  EXPECT_THAT(create({{"a", DType::f32, {1}}}), HasSubstr("'a' cannot be the name"));
  EXPECT_THAT(create({{"/a//b", DType::f32, {1}}}), HasSubstr("cannot be the name"));
  EXPECT_THAT(create({{"/a/../b", DType::f32, {1}}}), HasSubstr("cannot be the name"));
  EXPECT_THAT(create({{"/a", DType::f32, {-1}}}), HasSubstr("impossible shape"));
  EXPECT_THAT(create({{"/a", DType::f32, {std::int64_t{1} << 40, std::int64_t{1} << 40}}}), HasSubstr("impossible shape"));
  EXPECT_THAT(create({{"/a", DType::f32, {1, 1, 1, 1, 1}}}), HasSubstr("5 dimensions"));
  EXPECT_THAT(create({}, {{"/", "x", std::int64_t{1}}, {"/", "x", std::int64_t{1}}}), HasSubstr("cannot write attribute x of /"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(H5, MoreThanTheDiskHoldsIsACapacityError) {
  const TemporaryFolder folder;
  try {
    h5::create_file(folder / "a.h5", {{"/a", DType::f64, {std::int64_t{1} << 58}}}, {});
    FAIL() << "no error";
  } catch (const CapacityError& error) {
    EXPECT_THAT(error.what(), HasSubstr("(2305843009213693952 bytes), but only"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(H5, MissingFilesAndStrangersAreNamed) {
  const TemporaryFolder folder;
  test::write_file(folder / "text.h5", "not HDF5 at all");

  EXPECT_THAT(data_error([&] { h5::File(folder / "none.h5"); }), HasSubstr("none.h5: cannot open the file: No such file or directory"));
  EXPECT_THAT(data_error([&] { h5::File(folder / "text.h5"); }),
              HasSubstr("text.h5: cannot be opened as an HDF5 file: it does not begin like one"));
  EXPECT_THAT(data_error([&] { h5::File file(folder.path()); }), HasSubstr("not a plain file"));
}

TEST(H5, ATruncatedFileIsRefused) {
  const TemporaryFolder folder;
  h5::create_file(folder / "a.h5", {{"/a", DType::f32, {100000}}}, {});
  std::filesystem::resize_file(folder / "a.h5", std::filesystem::file_size(folder / "a.h5") - 4096);

  EXPECT_THAT(data_error([&] { h5::File(folder / "a.h5"); }), HasSubstr("it was cut short: it should have 432768 bytes and has 428672"));
}

TEST(H5, ReadingOutsideTheDatasetIsRefused) {
  const TemporaryFolder folder;
  h5::create_file(folder / "a.h5", {{"/a", DType::f32, {10}}, {"/b/c", DType::f32, {1}}}, {});
  const h5::File file(folder / "a.h5");
  const h5::DatasetInfo info = file.dataset("/a");
  float buffer[16];

  EXPECT_THAT(data_error([&] { file.read(info, 5, 6, buffer); }), HasSubstr("6 elements from 5 are asked of a dataset of 10"));
  EXPECT_THAT(data_error([&] { file.read(info, -1, 2, buffer); }), HasSubstr("are asked of a dataset of 10"));
  EXPECT_THAT(data_error([&] { file.read(info, std::numeric_limits<std::int64_t>::max(), 2, buffer); }), HasSubstr("dataset of 10"));
  EXPECT_THAT(data_error([&] { file.dataset("/missing"); }), HasSubstr("there is no /missing"));
  EXPECT_THAT(data_error([&] { file.dataset("/b"); }), HasSubstr("/b is expected to be a dataset"));
  EXPECT_THAT(data_error([&] { file.children("/a"); }), HasSubstr("/a is expected to be a group"));
  EXPECT_FALSE(file.has("/missing/deeper"));
  EXPECT_TRUE(file.has("/b/c"));
}

TEST(H5, AFileCanBeMoved) {
  const TemporaryFolder folder;
  h5::create_file(folder / "a.h5", {{"/a", DType::f32, {10}}}, {});
  h5::create_file(folder / "b.h5", {{"/b", DType::f32, {10}}}, {});
  h5::File first(folder / "a.h5");
  h5::File second(std::move(first));
  second = h5::File(folder / "b.h5");

  EXPECT_TRUE(second.has("/b"));
}

}  // namespace
