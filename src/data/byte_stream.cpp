// Byte stream: Boost.Iostreams filters over a file, with their failures put into words.
#include "data/byte_stream.hpp"

#include <algorithm>
#include <boost/iostreams/categories.hpp>
#include <boost/iostreams/filter/gzip.hpp>
#include <boost/iostreams/filter/zstd.hpp>
#include <boost/iostreams/filtering_streambuf.hpp>
#include <string>

#include "strata/base/error.hpp"
#include "strata/io/file.hpp"

namespace strata::data {
namespace fs = std::filesystem;
namespace {

constexpr std::streamsize filter_buffer = 256 << 10;  // [bytes]

/// A Boost source over FileHandle, so that failing reads are told as everywhere else.
class FileSource {
 public:
  using char_type = char;
  using category = boost::iostreams::source_tag;
  FileSource(const fs::path& path, std::shared_ptr<std::int64_t> position)
      : file_(std::make_shared<FileHandle>(path, FileHandle::Mode::read)), size_(file_->size()), position_(std::move(position)) {}
  std::streamsize read(char* to, std::streamsize bytes) {
    const std::int64_t n = std::min<std::int64_t>(bytes, size_ - *position_);
    if (n <= 0) return -1;
    file_->read_at(to, static_cast<std::size_t>(n), *position_);
    *position_ += n;
    return n;
  }

 private:
  std::shared_ptr<FileHandle> file_;
  std::int64_t size_;
  std::shared_ptr<std::int64_t> position_;  // shared with the ByteStream: Boost copies its sources
};

bool starts_with(const std::string& head, std::string_view magic) {
  return std::string_view(head).substr(0, magic.size()) == magic;
}

std::string first_bytes(const fs::path& path) {
  const FileHandle file(path, FileHandle::Mode::read);
  std::string head(static_cast<std::size_t>(std::min<std::int64_t>(6, file.size())), '\0');
  file.read_at(head.data(), head.size(), 0);
  return head;
}

}  // namespace

Compression compression_of(const fs::path& path) {
  const std::string head = first_bytes(path), ending = path.extension().string();
  const bool gzip = starts_with(head, "\x1f\x8b");
  // A zstd file begins with a frame or with a skippable frame (pzstd writes such).
  const bool zstd = starts_with(head, "\x28\xb5\x2f\xfd") || (head.size() >= 4 && (static_cast<unsigned char>(head[0]) & 0xf0) == 0x50 &&
                                                              starts_with(head.substr(1), "\x2a\x4d\x18"));
  if (starts_with(head, std::string_view("\xfd"
                                         "7zXZ\0",
                                         6)) ||
      starts_with(head, "BZh"))
    throw DataError(
        text(path.string(),
             ": the file is compressed by xz or bzip2; plain, gzip and zstd files are read: recompress it, as in `xz -dc FILE | zstd`"));
  if (ending == ".gz" && !gzip)
    throw DataError(text(path.string(), ": expected gzip data because the name ends in .gz, found ",
                         head.empty() ? "an empty file" : "something else"));
  if (ending == ".zst" && !zstd)
    throw DataError(text(path.string(), ": expected zstd data because the name ends in .zst, found ",
                         head.empty() ? "an empty file" : "something else"));
  return gzip ? Compression::gzip : zstd ? Compression::zstd : Compression::none;
}

struct ByteStream::State {
  fs::path path;
  std::shared_ptr<std::int64_t> position = std::make_shared<std::int64_t>(0);
  boost::iostreams::filtering_streambuf<boost::iostreams::input> stream;
};

ByteStream::ByteStream(const fs::path& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  const Compression compression = compression_of(path);
  if (compression == Compression::gzip)
    state_->stream.push(boost::iostreams::gzip_decompressor(boost::iostreams::zlib::default_window_bits, filter_buffer), filter_buffer);
  if (compression == Compression::zstd) {
    check_zstd_complete(path);
    state_->stream.push(boost::iostreams::zstd_decompressor(filter_buffer), filter_buffer);
  }
  state_->stream.push(FileSource(path, state_->position), filter_buffer);
}

ByteStream::~ByteStream() = default;

std::int64_t ByteStream::position() const {
  return *state_->position;
}

std::size_t ByteStream::read(char* to, std::size_t bytes) {
  try {
    const std::streamsize n = state_->stream.sgetn(to, static_cast<std::streamsize>(bytes));
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  } catch (const boost::iostreams::gzip_error& error) {
    throw DataError(text(state_->path.string(), ": the gzip data is damaged or cut short (", error.what(), ")"));
  } catch (const boost::iostreams::zstd_error& error) {
    throw DataError(text(state_->path.string(), ": the zstd data is damaged (", error.what(), ")"));
  }
}

}  // namespace strata::data
