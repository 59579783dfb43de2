// Text reader: lines found in a buffer, gathered into records.
#include "strata/data/text_reader.hpp"

#include <xxhash.h>

#include <cstring>
#include <optional>
#include <string_view>

#include "data/byte_stream.hpp"
#include "strata/base/error.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t buffer_bytes = std::size_t{1} << 20;
constexpr std::size_t largest_record = std::size_t{1} << 30;

/// The line without \n or \r\n.
std::string_view without_ending(std::string_view line) {
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r\n\f\v") == std::string_view::npos;
}

void remove_last_ending(std::string& bytes) {
  bytes.resize(without_ending(bytes).size());
}

}  // namespace

struct RecordReader::State {
  std::optional<data::ByteStream> stream;
  std::size_t next_file = 0;
  std::string buffer = std::string(buffer_bytes, '\0');
  std::size_t begin = 0, end = 0;     // unread part of the buffer
  std::int64_t line = 1, offset = 0;  // of buffer[begin] in the file
  std::int64_t bytes_read = 0;
  std::vector<std::int64_t> sizes;  // [bytes] on disk
  XXH3_state_t* hash = XXH3_createState();

  State() { XXH3_64bits_reset(hash); }
  ~State() { XXH3_freeState(hash); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  bool refill() {
    begin = 0, end = stream->read(buffer.data(), buffer.size());
    bytes_read += static_cast<std::int64_t>(end);
    XXH3_64bits_update(hash, buffer.data(), end);
    return end > 0;
  }

  /// Appends the next line with its ending, or the rest of the file; false at the file's end.
  bool append_line(std::string& to, const std::string& name) {
    const std::int64_t first_line = line;
    bool any = false;
    while (begin < end || refill()) {
      any = true;
      const char* start = buffer.data() + begin;
      const auto* stop = static_cast<const char*>(std::memchr(start, '\n', end - begin));
      const std::size_t n = stop ? static_cast<std::size_t>(stop - start) + 1 : end - begin;
      if (to.size() + n > largest_record)
        throw DataError(text(name, ":", first_line, ": a document of more than 1 GiB ends or goes on here: cut it into smaller ones"));
      to.append(start, n);
      begin += n, offset += static_cast<std::int64_t>(n);
      if (stop) {
        ++line;
        return true;
      }
    }
    return any;
  }
};

RecordReader::RecordReader(std::vector<fs::path> files, RecordRules rules)
    : files_(std::move(files)), rules_(std::move(rules)), state_(std::make_unique<State>()) {
  for (const fs::path& file : files_) {
    std::error_code error;
    const std::uintmax_t size = fs::file_size(file, error);
    state_->sizes.push_back(error ? 0 : static_cast<std::int64_t>(size));
  }
}

RecordReader::~RecordReader() = default;

bool RecordReader::open_next() {
  State& s = *state_;
  if (s.next_file == files_.size()) return false;
  s.stream.emplace(files_[s.next_file++]);
  s.line = 1, s.offset = 0;
  s.refill();
  if (s.end >= 3 && std::memcmp(s.buffer.data(), "\xef\xbb\xbf", 3) == 0) s.begin = 3, s.offset = 3;
  return true;
}

bool RecordReader::read_file(Record& record) {
  if (!open_next()) return false;
  record.line = 1, record.offset = state_->offset;
  while (state_->append_line(record.bytes, files_[state_->next_file - 1].string())) {
  }
  state_->stream.reset();
  return true;
}

bool RecordReader::read_line(Record& record) {
  while (true) {
    if (!state_->stream && !open_next()) return false;
    record.bytes.clear();
    record.line = state_->line, record.offset = state_->offset;
    if (!state_->append_line(record.bytes, files_[state_->next_file - 1].string())) {
      state_->stream.reset();
      continue;
    }
    if (rules_.kind == RecordKind::json_line && is_blank(record.bytes)) continue;
    remove_last_ending(record.bytes);
    return true;
  }
}

bool RecordReader::read_stretch(Record& record) {
  const bool blank = rules_.kind == RecordKind::blank_line;
  while (true) {
    if (!state_->stream && !open_next()) return false;
    const std::string name = files_[state_->next_file - 1].string();
    record.bytes.clear();
    record.line = state_->line, record.offset = state_->offset;
    while (true) {
      const std::size_t before = record.bytes.size();
      if (!state_->append_line(record.bytes, name)) {
        state_->stream.reset();
        break;
      }
      const std::string_view line = std::string_view(record.bytes).substr(before);
      if (blank ? is_blank(line) : without_ending(line) == rules_.between) {
        record.bytes.resize(before);
        break;
      }
    }
    remove_last_ending(record.bytes);
    if (!record.bytes.empty()) return true;
  }
}

bool RecordReader::next(Record& record) {
  record.bytes.clear();
  const bool found = rules_.kind == RecordKind::file                                           ? read_file(record)
                     : rules_.kind == RecordKind::line || rules_.kind == RecordKind::json_line ? read_line(record)
                                                                                               : read_stretch(record);
  if (!found) return false;
  record.number = number_++;
  record.file = state_->next_file - 1;
  return true;
}

std::string RecordReader::place(const Record& record) const {
  return text(files_[record.file].string(), ":", record.line);
}
std::int64_t RecordReader::bytes_read() const {
  return state_->bytes_read;
}
std::uint64_t RecordReader::fingerprint() const {
  return XXH3_64bits_digest(state_->hash);
}

double RecordReader::progress() const {
  double done = 0, all = 0;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    all += static_cast<double>(state_->sizes[i]);
    const bool current = i + 1 == state_->next_file && state_->stream;
    if (i < state_->next_file) done += static_cast<double>(current ? state_->stream->position() : state_->sizes[i]);
  }
  return all > 0 ? done / all : 1.0;
}

}  // namespace strata
