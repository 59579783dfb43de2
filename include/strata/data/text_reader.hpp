#pragma once
// Text reader: input files, plain or compressed, as a stream of records (one document each, as raw bytes) that know where they come from.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

namespace strata {

/// Files that `patterns` (paths and globs with * ? [...]) name: patterns in the order given, the matches of a glob sorted by bytes, each
/// file once. A name that exists is taken literally even if it holds glob characters. Throws DataError for a pattern that names no file,
/// for a folder, and for an empty list. Local.
std::vector<std::filesystem::path> expand_inputs(const std::vector<std::string>& patterns);

/// How files are cut into records.
enum class RecordKind {
  file,        // the whole file, also an empty one
  line,        // every line without its line ending (\n or \r\n), also empty ones
  json_line,   // as line, without lines of white space only
  blank_line,  // stretches between lines of white space only, without the last line ending
  between      // stretches between lines equal to a text, without the last line ending; empty stretches give nothing
};

struct RecordRules {
  RecordKind kind = RecordKind::file;
  std::string between;  // the separating line, without its line ending
};

/// Rules for the deck's prepare.format (text | jsonl | ids) and prepare.documents (file | line | blank_line | between:TEXT). Throws
/// DeckError.
RecordRules record_rules(const std::string& format, const std::string& documents);

/// One document as it stands in a file.
struct Record {
  std::string bytes;
  std::int64_t number = 0;  // of the record in the whole input, from 0
  std::size_t file = 0;     // index in RecordReader::files()
  std::int64_t line = 1;    // of the first byte, from 1
  std::int64_t offset = 0;  // [bytes] of the first byte in the (decompressed) file
};

/// Reads files one after the other with bounded memory: one record and a buffer. gzip and zstd are recognised by content; a file whose name
/// ends in .gz or .zst and which is neither, a damaged or a truncated one is a DataError, as is a record over 1 GiB. A byte order mark at
/// the start of a file is left out. Local; not thread-safe.
class RecordReader {
 public:
  RecordReader(std::vector<std::filesystem::path> files, RecordRules rules);
  ~RecordReader();
  RecordReader(const RecordReader&) = delete;
  RecordReader& operator=(const RecordReader&) = delete;

  /// The next record; false at the end of the last file. `record`'s memory is used again.
  bool next(Record& record);
  /// "corpus.txt:17": where the record begins, for messages.
  std::string place(const Record& record) const;
  const std::vector<std::filesystem::path>& files() const { return files_; }
  /// Number that the next record will have.
  std::int64_t next_number() const { return number_; }
  /// [bytes] decompressed so far, over all files.
  std::int64_t bytes_read() const;
  /// Share of the files' bytes on disk that has been read, in [0, 1].
  double progress() const;
  /// 64 bits over everything read so far: equal on ranks that read the same bytes.
  std::uint64_t fingerprint() const;

 private:
  struct State;
  bool read_stretch(Record& record);
  bool read_line(Record& record);
  bool read_file(Record& record);
  bool open_next();

  std::vector<std::filesystem::path> files_;
  RecordRules rules_;
  std::int64_t number_ = 0;
  std::unique_ptr<State> state_;
};

}  // namespace strata
