// TensorBoard's records, byte by byte: tensorflow/core/util/event.proto, framework/summary.proto, lib/io/record_writer.
#include "strata/io/event_file.hpp"

#include <array>
#include <bit>
#include <chrono>

#include "strata/base/error.hpp"

namespace strata {
namespace {

constexpr std::array<std::uint32_t, 256> crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ (value & 1 ? 0x82f63b78u : 0);
    table[i] = value;
  }
  return table;
}

// Little-endian bytes of a number.
template <class T>
std::string raw(T value) {
  static_assert(std::endian::native == std::endian::little);
  return std::string(reinterpret_cast<const char*>(&value), sizeof value);
}

// A CRC over data that itself holds CRCs is weak: the format stores a masked one.
std::string masked_crc(const std::string& data) {
  const std::uint32_t crc = crc32c(data.data(), data.size());
  return raw<std::uint32_t>(((crc >> 15) | (crc << 17)) + 0xa282ead8u);
}

std::string record(const std::string& data) {
  const std::string length = raw<std::uint64_t>(data.size());
  return length + masked_crc(length) + data + masked_crc(data);
}

// protobuf's wire format: a key (field number and kind), then the value.
std::string varint(std::uint64_t value) {
  std::string out;
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  return out + static_cast<char>(value);
}
std::string number_field(int field, std::uint64_t value) {
  return varint(static_cast<std::uint64_t>(field) << 3) + varint(value);
}
std::string double_field(int field, double value) {
  return varint(static_cast<std::uint64_t>(field) << 3 | 1) + raw(value);
}
std::string float_field(int field, float value) {
  return varint(static_cast<std::uint64_t>(field) << 3 | 5) + raw(value);
}
std::string bytes_field(int field, const std::string& value) {
  return varint(static_cast<std::uint64_t>(field) << 3 | 2) + varint(value.size()) + value;
}

/// Field numbers of the messages.
namespace event {
constexpr int wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7;
}
namespace session {
constexpr int status = 1, start = 1;
}
namespace summary {
constexpr int value = 1, tag = 1, simple_value = 2, tensor = 8, metadata = 9, plugin_data = 1, plugin_name = 1;
}
namespace tensor {
constexpr int dtype = 1, shape = 2, string_val = 8, of_strings = 7, dimension = 2, size = 1;
}

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::unique_ptr<FileHandle> create_file(const std::filesystem::path& folder, const std::string& host) {
  const std::string name = strata::text("events.out.tfevents.", static_cast<std::int64_t>(seconds_now()), ".", host);
  std::filesystem::path path = folder / name;
  for (int n = 1; std::filesystem::exists(path); ++n) path = folder / strata::text(name, ".", n);
  return std::make_unique<FileHandle>(path, FileHandle::Mode::create);
}

}  // namespace

std::uint32_t crc32c(const void* data, std::size_t bytes) {
  static constexpr auto table = crc_table();
  std::uint32_t crc = 0xffffffffu;
  const auto* at = static_cast<const unsigned char*>(data);
  for (std::size_t i = 0; i < bytes; ++i) crc = table[(crc ^ at[i]) & 0xff] ^ (crc >> 8);
  return ~crc;
}

EventFile::EventFile(const std::filesystem::path& folder, const std::string& host, std::int64_t first_step)
    : file_(create_file(folder, host)) {
  append(0, bytes_field(event::file_version, "brain.Event:2"));
  append(first_step, bytes_field(event::session_log, number_field(session::status, session::start)));
}

void EventFile::append(std::int64_t step, const std::string& fields) {
  const std::string whole =
      record(double_field(event::wall_time, seconds_now()) + number_field(event::step, static_cast<std::uint64_t>(step)) + fields);
  file_->write_at(whole.data(), whole.size(), bytes_);
  bytes_ += static_cast<std::int64_t>(whole.size());
}

void EventFile::scalars(std::int64_t step, const std::vector<Scalar>& values) {
  std::string all;
  for (const Scalar& scalar : values)
    all += bytes_field(summary::value,
                       bytes_field(summary::tag, scalar.tag) + float_field(summary::simple_value, static_cast<float>(scalar.value)));
  append(step, bytes_field(event::summary, all));
}

void EventFile::text(std::int64_t step, const std::string& tag, const std::string& content) {
  const std::string shape = bytes_field(tensor::dimension, number_field(tensor::size, 1));
  const std::string value =
      number_field(tensor::dtype, tensor::of_strings) + bytes_field(tensor::shape, shape) + bytes_field(tensor::string_val, content);
  const std::string metadata = bytes_field(summary::plugin_data, bytes_field(summary::plugin_name, "text"));
  append(step,
         bytes_field(event::summary, bytes_field(summary::value, bytes_field(summary::tag, tag) + bytes_field(summary::tensor, value) +
                                                                     bytes_field(summary::metadata, metadata))));
}

}  // namespace strata
