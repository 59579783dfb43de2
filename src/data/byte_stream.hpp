#pragma once
// Byte stream: the content of one input file, decompressed where it is compressed.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>

namespace strata::data {

enum class Compression { none, gzip, zstd };

/// What the file's first bytes say. Throws DataError where they contradict its ending (.gz, .zst) and for xz and bzip2 files.
Compression compression_of(const std::filesystem::path& path);

/// Walks the frames and blocks of a zstd file (RFC 8878, section 3) by their sizes and throws DataError if the file ends inside one:
/// Boost's filter takes a truncated file for a complete one. Reads headers only.
void check_zstd_complete(const std::filesystem::path& path);

/// Reads a file from start to end. Damage, truncation and failing reads are DataErrors that name the file. Local.
class ByteStream {
 public:
  explicit ByteStream(const std::filesystem::path& path);
  ~ByteStream();
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;
  /// Up to `bytes` bytes; 0 at the end only.
  std::size_t read(char* to, std::size_t bytes);
  /// [bytes] of the file on disk taken so far.
  std::int64_t position() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace strata::data
