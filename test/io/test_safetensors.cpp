// safetensors: round trips, every rule of the format with its message, parts with an index, and damage of every kind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "strata/base/error.hpp"
#include "strata/io/safetensors.hpp"
#include "support/support.hpp"

namespace {
using namespace strata;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string data_error(const std::function<void()>& work) {
  try {
    work();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

std::string file_bytes(const std::string& header, std::size_t data) {
  std::string result(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) result[i] = static_cast<char>(header.size() >> (8 * i) & 0xff);
  return result + header + std::string(data, 'd');
}

class Safetensors : public ::testing::Test {
 protected:
  /// The message with which a file of this header and `data` bytes is refused.
  std::string refusal(const std::string& header, std::size_t data) { return refusal_of_bytes(file_bytes(header, data)); }
  std::string refusal_of_bytes(const std::string& bytes) {
    test::write_file(folder_ / "x.safetensors", bytes);
    return data_error([&] { SafetensorsReader reader(folder_ / "x.safetensors"); });
  }
  void write(const std::string& name, const std::vector<std::string>& tensors, float value = 1) {
    std::vector<SafetensorsItem> items;
    for (const std::string& tensor : tensors) items.push_back({tensor, DType::f32, {2, 3}});
    SafetensorsWriter writer(folder_ / name, items);
    for (const std::string& tensor : tensors) writer.fill(tensor, 0, 6, std::vector<float>(6, value).data());
    writer.commit();
  }
  test::TemporaryFolder folder_;
};

TEST_F(Safetensors, GivesBackWhatWasWritten) {
  std::vector<float> a(1000);
  std::iota(a.begin(), a.end(), 0.5f);
  const std::uint8_t b[3] = {1, 2, 3};
  const std::int64_t c = -5;
  {
    SafetensorsWriter writer(folder_ / "m.safetensors",
                             {{"b", DType::u8, {3}}, {"a", DType::f32, {10, 100}}, {"c", DType::i64, {}}, {"e", DType::bf16, {0, 4}}});
    writer.fill("a", 300, 700, a.data() + 300);
    writer.fill("a", 0, 300, a.data());
    writer.fill("b", 0, 3, b);
    writer.fill("c", 0, 1, &c);
    writer.commit();
  }

  const SafetensorsReader reader(folder_ / "m.safetensors");
  ASSERT_EQ(reader.tensors().size(), 4u);
  EXPECT_EQ(reader.metadata().at("format"), "pt");
  const SafetensorsEntry& entry = reader.tensors().at("a");
  EXPECT_EQ(entry.type, DType::f32);
  EXPECT_EQ(entry.shape, (std::vector<std::int64_t>{10, 100}));
  std::vector<float> back(500);
  reader.read(entry, 250, 500, back.data());
  EXPECT_EQ(back, std::vector<float>(a.begin() + 250, a.begin() + 750));
  std::int64_t c_back = 0;
  reader.read(reader.tensors().at("c"), 0, 1, &c_back);
  EXPECT_EQ(c_back, -5);
  EXPECT_EQ(reader.tensors().at("e").elements(), 0);
  EXPECT_EQ(reader.tensors().at("e").type, DType::bf16);
}

// Worked out by hand from the format's description: little-endian length, JSON with __metadata__ first, spaces to a multiple of 8, data.
TEST_F(Safetensors, BytesAreTheFormats) {
  {
    SafetensorsWriter writer(folder_ / "m.safetensors", {{"b", DType::u8, {1}}, {"a", DType::u16, {2}}});
    const std::uint16_t a[2] = {0x6261, 0x6463};
    writer.fill("a", 0, 2, a);
    writer.fill("b", 0, 1, "e");
    writer.commit();
  }
  const std::string json =
      R"({"__metadata__":{"format":"pt"},"a":{"dtype":"U16","shape":[2],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[1],"data_offsets":[4,5]}})";
  const std::string padded = json + std::string((8 - json.size() % 8) % 8, ' ');
  EXPECT_EQ(test::read_file(folder_ / "m.safetensors"),
            std::string(1, static_cast<char>(padded.size())) + std::string(7, '\0') + padded + "abcde");
}

TEST_F(Safetensors, WithoutCommitNothingStays) {
  { SafetensorsWriter writer(folder_ / "m.safetensors", {{"a", DType::u8, {1}}}); }
  EXPECT_THAT(data_error([&] {
                SafetensorsWriter(folder_ / "m.safetensors", {{"a", DType::u8, {1}}, {"a", DType::u8, {1}}});
              }),
              HasSubstr("a is named twice"));
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(Safetensors, CommitOfAnUnfilledTensorIsAnError) {
  SafetensorsWriter writer(folder_ / "m.safetensors", {{"a", DType::u8, {4}}});
  writer.fill("a", 0, 3, "abc");
  EXPECT_THROW(writer.commit(), InternalError);
  EXPECT_THROW(writer.fill("a", 3, 2, "ab"), InternalError);
  EXPECT_THROW(writer.fill("z", 0, 1, "a"), InternalError);
}

TEST_F(Safetensors, ReadingOutsideATensorIsRefused) {
  write("m.safetensors", {"a"});
  const SafetensorsReader reader(folder_ / "m.safetensors");
  float buffer[8];
  EXPECT_THAT(data_error([&] { reader.read(reader.tensors().at("a"), 4, 3, buffer); }),
              HasSubstr("3 elements from 4 are asked of a tensor of 6"));
}

TEST_F(Safetensors, RefusesLengthsThatCannotBe) {
  EXPECT_THAT(refusal_of_bytes("1234567"), HasSubstr("at least 8 bytes, this one 7"));
  EXPECT_THAT(refusal_of_bytes(std::string(8, '\xff') + "{}"),
              HasSubstr("the header claims 18446744073709551615 bytes, the format allows 100000000"));
  EXPECT_THAT(refusal_of_bytes(std::string("\x10\0\0\0\0\0\0\0{}", 10)), HasSubstr("the header claims 16 bytes, but only 2 follow"));
  EXPECT_THAT(refusal("", 0), HasSubstr("start with '{'"));
  EXPECT_THAT(refusal(" {}", 0), HasSubstr("start with '{'"));
}

TEST_F(Safetensors, RefusesUnsoundJson) {
  EXPECT_THAT(refusal("{", 0), HasSubstr("is not sound JSON"));
  EXPECT_THAT(refusal("{} {}", 0), HasSubstr("is not sound JSON"));
  EXPECT_THAT(refusal("{\"\xff\":{}}", 0), HasSubstr("is not sound JSON"));
  EXPECT_THAT(refusal("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}", 0), HasSubstr("is nested too deeply"));
  const std::string entry = R"({"dtype":"U8","shape":[4],"data_offsets":[0,4]})";
  EXPECT_THAT(refusal("{\"a\":" + entry + ",\"a\":" + entry + "}", 4), HasSubstr("has the key 'a' twice"));
  EXPECT_THAT(refusal(R"({"__metadata__":{"x":1}})", 0), HasSubstr("__metadata__ is expected to hold texts only, 'x' is none"));
  EXPECT_THAT(refusal(R"({"__metadata__":7})", 0), HasSubstr("__metadata__ is expected to be an object"));
}

TEST_F(Safetensors, RefusesUnsoundEntries) {
  const auto entry = [&](const std::string& type, const std::string& shape, const std::string& offsets, std::size_t data) {
    return refusal("{\"t\":{\"dtype\":" + type + ",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}}", data);
  };
  EXPECT_EQ(entry("\"U8\"", "[4]", "[0,4]", 4), "no DataError");
  EXPECT_THAT(entry("\"F8_E4M3\"", "[4]", "[0,4]", 4), HasSubstr("tensor t has the type F8_E4M3, which Strata does not read"));
  EXPECT_THAT(entry("7", "[4]", "[0,4]", 4), HasSubstr("tensor t has no dtype text"));
  EXPECT_THAT(entry("\"U8\"", "[-4]", "[0,4]", 4), HasSubstr("the shape of tensor t is expected to hold whole numbers, found -4"));
  EXPECT_THAT(entry("\"U8\"", "[4.0]", "[0,4]", 4), HasSubstr("whole numbers, found 4.0"));
  EXPECT_THAT(entry("\"U8\"", "[18446744073709551615]", "[0,4]", 4), HasSubstr("whole numbers"));
  EXPECT_THAT(entry("\"F64\"", "[4611686018427387904,4611686018427387904]", "[0,0]", 0), HasSubstr("impossible shape"));
  EXPECT_THAT(entry("\"U8\"", "[4]", "[0]", 4), HasSubstr("two data_offsets, found 1"));
  EXPECT_THAT(entry("\"U8\"", "[4]", "[4,0]", 4), HasSubstr("tensor t needs 4 bytes for its shape and type, but data_offsets are 4 and 0"));
  EXPECT_THAT(entry("\"F32\"", "[4]", "[0,4]", 4), HasSubstr("needs 16 bytes"));
  EXPECT_THAT(entry("\"U8\"", "{}", "[0,4]", 4), HasSubstr("tensor t has no shape list"));
  EXPECT_THAT(refusal(R"({"t":[1]})", 0), HasSubstr("tensor t has no dtype"));
  EXPECT_THAT(refusal(R"({"":{}})", 0), HasSubstr("a name of 0 bytes"));
  EXPECT_THAT(refusal(R"({"a\u0000b":{}})", 0), HasSubstr("control characters"));
}

TEST_F(Safetensors, RefusesHolesOverlapsAndLeftovers) {
  const auto two = [&](const std::string& first, const std::string& second, std::size_t data) {
    return refusal(
        R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + first + R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + second + "}}",
        data);
  };
  EXPECT_EQ(two("[4,8]", "[0,4]", 8), "no DataError");
  EXPECT_THAT(two("[0,4]", "[5,9]", 9), HasSubstr("tensor b starts at byte 5 of the data, where byte 4 is expected: tensors leave a hole"));
  EXPECT_THAT(two("[0,4]", "[3,7]", 7), HasSubstr("tensors overlap"));
  EXPECT_THAT(two("[0,4]", "[4,8]", 7), HasSubstr("tensor b ends 1 bytes after the file's end"));
  EXPECT_THAT(two("[0,4]", "[4,8]", 9), HasSubstr("1 bytes at the end belong to no tensor"));
}

TEST_F(Safetensors, FolderWithAnIndex) {
  write("model-00001-of-00002.safetensors", {"a", "b"}, 1);
  write("model-00002-of-00002.safetensors", {"c"}, 2);
  const std::string index = safetensors_index(
      {{"a", "model-00001-of-00002.safetensors"}, {"b", "model-00001-of-00002.safetensors"}, {"c", "model-00002-of-00002.safetensors"}},
      72);
  test::write_file(folder_ / "model.safetensors.index.json", index);

  const SafetensorsReader reader(folder_.path());
  EXPECT_EQ(reader.tensors().size(), 3u);
  float value = 0;
  reader.read(reader.tensors().at("c"), 5, 1, &value);
  EXPECT_EQ(value, 2);
  EXPECT_THAT(index, StartsWith("{\n  \"metadata\": {\n    \"total_size\": 72\n  },\n  \"weight_map\": {\n    \"a\": "));
}

TEST_F(Safetensors, IndexThatDoesNotFitItsParts) {
  write("p1.safetensors", {"a"});
  write("p2.safetensors", {"b"});
  const auto with = [&](const std::string& map) {
    test::write_file(folder_ / "model.safetensors.index.json", "{\"weight_map\":" + map + "}");
    return data_error([&] { SafetensorsReader reader(folder_.path()); });
  };
  EXPECT_EQ(with(R"({"a":"p1.safetensors","b":"p2.safetensors"})"), "no DataError");
  EXPECT_THAT(with(R"({"a":"p2.safetensors"})"), HasSubstr("tensor a is said to be in p2.safetensors, which does not hold it"));
  EXPECT_THAT(with(R"({"a":"p2.safetensors","b":"p1.safetensors"})"), HasSubstr("it is in p1.safetensors"));
  EXPECT_THAT(with(R"({"a":"p3.safetensors"})"), HasSubstr("the part p3.safetensors is missing"));
  EXPECT_THAT(with(R"({"a":"../p1.safetensors"})"), HasSubstr("'../p1.safetensors', which is not a plain file name"));
  EXPECT_THAT(with(R"({"a":"/etc/passwd"})"), HasSubstr("not a plain file name"));
  EXPECT_THAT(with(R"({"a":""})"), HasSubstr("not a plain file name"));
  EXPECT_THAT(with("{\"a\":\"" + std::string(300, 'x') + "\"}"), HasSubstr("File name too long"));
  EXPECT_THAT(with(R"({"a":"..","b":"p2.safetensors"})"), HasSubstr("not a plain file name"));
  EXPECT_THAT(with(R"({"a":"p1.safetensors","a":"p1.safetensors"})"), HasSubstr("has the key 'a' twice"));
  EXPECT_THAT(with(R"(["a"])"), HasSubstr("no weight_map"));
  write("p2.safetensors", {"a", "b"});
  EXPECT_THAT(with(R"({"a":"p1.safetensors","b":"p2.safetensors"})"), HasSubstr("p2.safetensors: tensor a is in "));
}

TEST_F(Safetensors, FolderWithoutWeights) {
  EXPECT_THAT(data_error([&] { SafetensorsReader reader(folder_.path()); }),
              HasSubstr("model.safetensors or model.safetensors.index.json, found neither"));
  EXPECT_THAT(data_error([&] { SafetensorsReader reader(folder_ / "none.safetensors"); }), HasSubstr("No such file"));
}

// Every bit of header and length flipped, every truncation: a DataError, or entries that lie inside the file and can be read.
TEST_F(Safetensors, DamageNeverCrashesOrReadsOutside) {
  write("m.safetensors", {"model.a", "model.b"});
  const std::string sound = test::read_file(folder_ / "m.safetensors");
  int refused = 0, accepted = 0;
  const auto attempt = [&](const std::string& bytes) {
    test::write_file(folder_ / "damaged.safetensors", bytes);
    try {
      const SafetensorsReader reader(folder_ / "damaged.safetensors");
      for (const auto& [name, entry] : reader.tensors()) {
        std::vector<char> buffer(static_cast<std::size_t>(entry.bytes()));
        reader.read(entry, 0, entry.elements(), buffer.data());
      }
      ++accepted;
    } catch (const DataError&) {
      ++refused;
    }
  };
  const std::size_t header = sound.size() - 48;
  for (std::size_t bit = 0; bit < header * 8; ++bit) {
    std::string bytes = sound;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
    attempt(bytes);
  }
  const int flips_accepted = accepted;
  for (std::size_t size = 0; size < sound.size(); ++size) attempt(sound.substr(0, size));

  EXPECT_EQ(accepted, flips_accepted) << "a truncated file was accepted";
  EXPECT_EQ(refused + accepted, static_cast<int>(header * 8 + sound.size()));
  EXPECT_GT(refused, accepted);  // what is accepted are changed names, changed metadata and I32 for F32: the format has no checksum
}

}  // namespace
