// A large file written, synced, read back and removed.
#include "strata/io/disk_rate.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/io/file.hpp"

namespace strata {
namespace {

constexpr std::int64_t piece = std::int64_t{4} << 20;

struct Removed {
  std::filesystem::path path;
  ~Removed() {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
};
struct Freed {
  void operator()(void* memory) const { std::free(memory); }
};
using Aligned = std::unique_ptr<unsigned char, Freed>;

/// O_DIRECT where the file system takes it (tmpfs and some network ones do not), otherwise after dropping the file's pages.
double read_rate(const FileHandle& file, std::int64_t bytes, unsigned char* buffer) {
  file.drop_cache();
  const int descriptor = ::open(file.path().c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  const Stopwatch watch;
  std::int64_t at = 0;
  if (descriptor >= 0) {
    for (ssize_t got = 1; at < bytes && got > 0; at += got) {
      got = ::pread(descriptor, buffer, static_cast<std::size_t>(piece), at);
      if (got <= 0) break;
    }
    ::close(descriptor);
  }
  for (; at < bytes; at += piece) file.read_at(buffer, static_cast<std::size_t>(std::min(piece, bytes - at)), at);
  return static_cast<double>(bytes) / watch.seconds();
}

}  // namespace

DiskRate disk_rate(const std::filesystem::path& folder, std::int64_t bytes, double seconds) {
  const std::int64_t room = free_bytes(folder) / 4, most = std::min(bytes, room) / piece * piece;
  if (most < piece) throw CapacityError(text(folder.string(), " has less than 16 MiB free: too little to measure the disk with"));
  const Aligned buffer(static_cast<unsigned char*>(std::aligned_alloc(4096, static_cast<std::size_t>(piece))));
  // Not zeros: some file systems do not store them.
  for (std::int64_t i = 0; i < piece; ++i) buffer.get()[i] = static_cast<unsigned char>((i * 2654435761u) >> 13);
  const FileHandle file(temporary_name(folder / "strata-measure"), FileHandle::Mode::create);
  const Removed removed{file.path()};
  DiskRate rate;
  const Stopwatch watch;
  for (; rate.bytes < most && (rate.bytes == 0 || watch.seconds() < seconds); rate.bytes += piece)
    file.write_at(buffer.get(), static_cast<std::size_t>(piece), rate.bytes);
  file.sync();
  rate.write = static_cast<double>(rate.bytes) / watch.seconds();
  rate.read = read_rate(file, rate.bytes, buffer.get());
  return rate;
}

}  // namespace strata
