// The frames of a zstd file (RFC 8878): whether the last one is complete.
#include <array>

#include "data/byte_stream.hpp"
#include "strata/base/error.hpp"
#include "strata/io/file.hpp"

namespace strata::data {
namespace {

/// A file's bytes by position; positions beyond its end are told as a truncated file.
class Walk {
 public:
  explicit Walk(const std::filesystem::path& path) : file_(path, FileHandle::Mode::read), size_(file_.size()) {}
  bool at_end() const { return at_ == size_; }
  std::uint32_t take(int bytes) {
    std::array<unsigned char, 4> raw{};
    need(bytes);
    file_.read_at(raw.data(), static_cast<std::size_t>(bytes), at_);
    at_ += bytes;
    return raw[0] | (std::uint32_t{raw[1]} << 8) | (std::uint32_t{raw[2]} << 16) | (std::uint32_t{raw[3]} << 24);
  }
  void skip(std::int64_t bytes) {
    need(bytes);
    at_ += bytes;
  }
  [[noreturn]] void fail(const char* what) const { throw DataError(text(file_.path().string(), ": ", what, " at byte ", at_)); }

 private:
  void need(std::int64_t bytes) const {
    if (bytes > size_ - at_)
      throw DataError(text(file_.path().string(), ": the zstd data is cut short: the file ends at byte ", size_, " inside a frame"));
  }
  FileHandle file_;
  std::int64_t size_, at_ = 0;
};

/// Frame header: dictionary id and content size take as many bytes as the descriptor says. Returns whether a checksum ends the frame.
bool skip_frame_header(Walk& walk) {
  const std::uint32_t descriptor = walk.take(1);
  const bool single_segment = (descriptor & 0x20) != 0;
  constexpr std::array<int, 4> dictionary_bytes{0, 1, 2, 4}, size_bytes{0, 2, 4, 8};
  const std::uint32_t size_flag = descriptor >> 6;
  walk.skip((single_segment ? 0 : 1) + dictionary_bytes[descriptor & 3] + (size_flag == 0 && single_segment ? 1 : size_bytes[size_flag]));
  return (descriptor & 0x04) != 0;
}

}  // namespace

void check_zstd_complete(const std::filesystem::path& path) {
  Walk walk(path);
  while (!walk.at_end()) {
    const std::uint32_t magic = walk.take(4);
    if ((magic & 0xfffffff0u) == 0x184d2a50u) {  // skippable frame
      walk.skip(walk.take(4));
      continue;
    }
    if (magic != 0xfd2fb528u) walk.fail("expected a zstd frame, found something else, ending");
    const bool checksum = skip_frame_header(walk);
    for (bool last = false; !last;) {
      const std::uint32_t header = walk.take(3);  // bit 0: last; bits 1-2: raw, run, compressed; then the size
      last = (header & 1) != 0;
      walk.skip(((header >> 1) & 3) == 1 ? 1 : header >> 3);
    }
    if (checksum) walk.skip(4);
  }
}

}  // namespace strata::data
