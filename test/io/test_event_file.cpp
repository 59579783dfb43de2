// Event files against a decoder of their own: framing, checksums, fields; CRC-32C against known values.
#include <gtest/gtest.h>

#include <cstring>
#include <map>

#include "strata/base/error.hpp"
#include "strata/io/event_file.hpp"
#include "support/support.hpp"

namespace strata::test {
namespace {

TEST(Crc32c, KnownValues) {
  EXPECT_EQ(crc32c("", 0), 0u);
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);
  EXPECT_EQ(crc32c("a", 1), 0xc1d04330u);
  unsigned char bytes[32] = {};
  EXPECT_EQ(crc32c(bytes, 32), 0x8a9136aau);  // RFC 3720, B.4
  std::memset(bytes, 0xff, 32);
  EXPECT_EQ(crc32c(bytes, 32), 0x62a8ab43u);
  for (unsigned char i = 0; i < 32; ++i) bytes[i] = i;
  EXPECT_EQ(crc32c(bytes, 32), 0x46dd794eu);
  for (unsigned char i = 0; i < 32; ++i) bytes[i] = static_cast<unsigned char>(31 - i);
  EXPECT_EQ(crc32c(bytes, 32), 0x113fdb5cu);
}

// A bitwise CRC, so that the decoder shares no code with what it checks.
std::uint32_t slow_crc(const std::string& data) {
  std::uint32_t crc = ~0u;
  for (const char c : data)
    for (int bit = 0; bit < 8; ++bit) {
      const bool odd = (crc ^ (static_cast<unsigned char>(c) >> bit)) & 1;
      crc = (crc >> 1) ^ (odd ? 0x82f63b78u : 0);
    }
  return ~crc;
}

template <class T>
T take(const std::string& bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

void expect_crc(const std::string& bytes, std::size_t at, std::size_t length) {
  const std::uint32_t crc = slow_crc(bytes.substr(at, length));
  EXPECT_EQ(take<std::uint32_t>(bytes, at + length), ((crc >> 15) | (crc << 17)) + 0xa282ead8u) << "at byte " << at;
}

std::vector<std::string> records_of(const std::string& bytes) {
  std::vector<std::string> records;
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto length = take<std::uint64_t>(bytes, at);
    expect_crc(bytes, at, 8);
    expect_crc(bytes, at + 12, length);
    records.push_back(bytes.substr(at + 12, length));
    at += 16 + length;
  }
  EXPECT_EQ(at, bytes.size());
  return records;
}

// Field number -> values; numbers as text, fixed ones as raw bytes.
using Fields = std::multimap<int, std::string>;
Fields fields_of(const std::string& message) {
  Fields fields;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(message.at(at++));
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.size()) {
    const std::uint64_t key = varint();
    const int field = static_cast<int>(key >> 3), kind = static_cast<int>(key & 7);
    if (kind == 0) {
      fields.emplace(field, std::to_string(varint()));
      continue;
    }
    const std::size_t length = kind == 1 ? 8 : kind == 5 ? 4 : varint();
    fields.emplace(field, message.substr(at, length));
    at += length;
  }
  return fields;
}
std::string one(const Fields& fields, int field) {
  EXPECT_EQ(fields.count(field), 1U) << "field " << field;
  return fields.count(field) ? fields.find(field)->second : "";
}

class EventFileTest : public ::testing::Test {
 protected:
  TemporaryFolder folder_;
};

TEST_F(EventFileTest, BeginsWithVersionAndSessionStart) {
  const EventFile file(folder_.path(), "node1", 301);
  EXPECT_EQ(file.path().filename().string().rfind("events.out.tfevents.", 0), 0U);
  EXPECT_TRUE(file.path().string().ends_with(".node1"));

  const auto records = records_of(read_file(file.path()));
  ASSERT_EQ(records.size(), 2U);
  EXPECT_EQ(one(fields_of(records[0]), 3), "brain.Event:2");
  const Fields start = fields_of(records[1]);
  EXPECT_EQ(one(start, 2), "301");
  EXPECT_EQ(one(fields_of(one(start, 7)), 1), "1");
  EXPECT_GT(take<double>(one(start, 1), 0), 1.6e9);
}

TEST_F(EventFileTest, ScalarsComeBack) {
  EventFile file(folder_.path(), "h", 1);
  file.scalars(70000, {{"train/loss", 3.5}, {"train/lr", 1e-5}});

  const auto records = records_of(read_file(file.path()));
  ASSERT_EQ(records.size(), 3U);
  const Fields event = fields_of(records[2]);
  EXPECT_EQ(one(event, 2), "70000");
  const Fields values = fields_of(one(event, 5));
  ASSERT_EQ(values.count(1), 2U);
  const Fields loss = fields_of(values.begin()->second), lr = fields_of(std::next(values.begin())->second);
  EXPECT_EQ(one(loss, 1), "train/loss");
  EXPECT_EQ(take<float>(one(loss, 2), 0), 3.5F);
  EXPECT_EQ(one(lr, 1), "train/lr");
  EXPECT_EQ(take<float>(one(lr, 2), 0), 1e-5F);
}

TEST_F(EventFileTest, TextsComeBack) {
  EventFile file(folder_.path(), "h", 1);
  const std::string content(1000, 'x');
  file.text(2, "deck", content);

  const Fields value = fields_of(one(fields_of(one(fields_of(records_of(read_file(file.path())).at(2)), 5)), 1));
  EXPECT_EQ(one(value, 1), "deck");
  const Fields tensor = fields_of(one(value, 8));
  EXPECT_EQ(one(tensor, 1), "7");
  EXPECT_EQ(one(tensor, 8), content);
  EXPECT_EQ(one(fields_of(one(fields_of(one(tensor, 2)), 2)), 1), "1");
  EXPECT_EQ(one(fields_of(one(fields_of(one(value, 9)), 1)), 1), "text");
}

TEST_F(EventFileTest, EveryLaunchHasItsOwnFile) {
  const EventFile a(folder_.path(), "h", 1), b(folder_.path(), "h", 1);
  EXPECT_NE(a.path(), b.path());
}

TEST_F(EventFileTest, AFolderThatIsMissingIsNamed) {
  try {
    const EventFile file(folder_ / "gone", "h", 1);
    FAIL();
  } catch (const DataError& e) {
    EXPECT_NE(std::string(e.what()).find("gone"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace strata::test
