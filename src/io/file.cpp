// Plain files: every short read or write, full disk and failed sync becomes an error that names the file and the system's reason.
#include "strata/io/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <random>
#include <system_error>
#include <vector>

#include "strata/base/clock.hpp"
#include "strata/base/error.hpp"
#include "strata/base/phase.hpp"
#include "strata/io/in_flight.hpp"

namespace strata {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t largest_transfer = std::size_t{1} << 30;  // the kernel cuts single transfers at 2 GiB - 4 KiB

std::string reason(int code) {
  return std::generic_category().message(code);
}

/// A full disk or a used-up quota is a matter of capacity; everything else is the file's.
[[noreturn]] void throw_write_error(const fs::path& path, const std::string& what, int code) {
  if (code != ENOSPC && code != EDQUOT) throw DataError(text(path.string(), ": ", what, ": ", reason(code)));
  std::string free;
  try {
    free = text(" (", bytes_text(static_cast<double>(free_bytes(path))), " free there)");
  } catch (const Error&) {  // the figure is a courtesy; the failure itself must not be hidden by another
  }
  throw CapacityError(text(path.string(), ": ", what, ": ", reason(code), free));
}

int open_flags(FileHandle::Mode mode) {
  switch (mode) {
    case FileHandle::Mode::read:
      return O_RDONLY | O_CLOEXEC | O_NONBLOCK;  // a named pipe is refused below, and must not hold us up before
    case FileHandle::Mode::write_existing:
      return O_RDWR | O_CLOEXEC;
    case FileHandle::Mode::create:
      return O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
  }
  return O_RDONLY;
}

struct HashState {
  HashState() : state(XXH3_createState()) { XXH3_128bits_reset(state); }
  ~HashState() { XXH3_freeState(state); }
  HashState(const HashState&) = delete;
  HashState& operator=(const HashState&) = delete;
  XXH3_state_t* state;
};

std::string hexadecimal(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::string result;
  for (const unsigned char byte : canonical.digest) {
    result += "0123456789abcdef"[byte >> 4];
    result += "0123456789abcdef"[byte & 15];
  }
  return result;
}

fs::path folder_of(const fs::path& path) {
  return path.has_parent_path() ? path.parent_path() : fs::path(".");
}

}  // namespace

FileHandle::FileHandle(const fs::path& path, Mode mode) : path_(path), descriptor_(::open(path.c_str(), open_flags(mode), 0666)) {
  if (descriptor_ >= 0) {
    struct stat status {};
    if (::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) return;
    ::close(descriptor_);
    descriptor_ = -1;
    throw DataError(text(path.string(), ": expected a file, found a ", S_ISDIR(status.st_mode) ? "folder" : "pipe, device or socket"));
  }
  const char* what = mode == Mode::create ? "cannot create the file"
                     : mode == Mode::read ? "cannot open the file for reading"
                                          : "cannot open the file for writing";
  throw_write_error(path, what, errno);
}

FileHandle::~FileHandle() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void FileHandle::read_at(void* to, std::size_t bytes, std::int64_t offset) const {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t n = ::pread(descriptor_, at, std::min(bytes, largest_transfer), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw DataError(text(path_.string(), ": cannot read ", bytes, " bytes at byte ", offset, ": ", reason(errno)));
    if (n == 0)
      throw DataError(text(path_.string(), ": the file ends at byte ", offset, ", ", bytes, " bytes too early: it was cut short"));
    at += n, offset += n, bytes -= static_cast<std::size_t>(n);
    Phase::tick();
  }
}

void FileHandle::write_at(const void* from, std::size_t bytes, std::int64_t offset) const {
  const auto* at = static_cast<const char*>(from);
  while (bytes > 0) {
    const ssize_t n = ::pwrite(descriptor_, at, std::min(bytes, largest_transfer), offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw_write_error(path_, text("cannot write ", bytes, " bytes at byte ", offset), n < 0 ? errno : ENOSPC);
    at += n, offset += n, bytes -= static_cast<std::size_t>(n);
    Phase::tick();
  }
}

void FileHandle::allocate(std::int64_t bytes) const {
  if (bytes <= size()) {
    // The space of a file that has its size already may still be holes: reserve them too.
    bytes = size();
  }
  if (bytes == 0) return;
  while (::fallocate(descriptor_, 0, 0, bytes) != 0) {
    if (errno == EINTR) continue;
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
      throw_write_error(path_, text("cannot reserve ", bytes, " bytes"), errno);
    // The file system cannot reserve space: set the size at least. A full disk then shows at the first write that needs it.
    if (bytes > size() && ::ftruncate(descriptor_, bytes) != 0)
      throw_write_error(path_, text("cannot extend the file to ", bytes, " bytes"), errno);
    return;
  }
}

std::int64_t FileHandle::size() const {
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0) throw DataError(text(path_.string(), ": cannot ask for the file's size: ", reason(errno)));
  return status.st_size;
}

void FileHandle::sync() const {
  if (::fsync(descriptor_) != 0) throw_write_error(path_, "cannot bring the file to disk (fsync)", errno);
}

bool FileHandle::bypass_cache() const {
  const int flags = ::fcntl(descriptor_, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor_, F_SETFL, flags | O_DIRECT) != 0) return false;
  // Some file systems take the flag and refuse the transfers: one is tried.
  const TransferBuffer piece(transfer_alignment);
  if (::pread(descriptor_, piece.data(), transfer_alignment, 0) == transfer_alignment) return true;
  (void)::fcntl(descriptor_, F_SETFL, flags);
  return false;
}

void FileHandle::drop_cache() const {
  // Advice only: where the system declines it, the next read comes from memory and still compares what was written.
  (void)::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);
}

fs::path temporary_name(const fs::path& path) {
  std::random_device device;
  fs::path result = path;
  result += text(".", std::hex, device(), device(), ".tmp");
  return result;
}

void sync_folder(const fs::path& folder) {
  const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) throw DataError(text(folder.string(), ": cannot open the folder: ", reason(errno)));
  const int code = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  // Some network file systems have no sync of folders and say EINVAL; their rename is as durable as it gets.
  if (code != 0 && code != EINVAL) throw DataError(text(folder.string(), ": cannot bring the folder to disk (fsync): ", reason(code)));
}

void replace_file(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw_write_error(to, text("cannot rename ", from.string(), " to it"), errno);
  sync_folder(folder_of(to));
}

void make_folders(const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw DataError(text("cannot make the folder ", folder.string(), ": ", error.message()));
}

void write_text_atomically(const fs::path& path, const std::string& content) {
  const TextFile file{path, content};
  write_texts_atomically({&file, 1});
}

void write_texts_atomically(std::span<const TextFile> files) {
  std::vector<fs::path> temporaries;
  try {
    for (const TextFile& text : files) {
      const FileHandle file(temporaries.emplace_back(temporary_name(text.path)), FileHandle::Mode::create);
      file.write_at(text.content.data(), text.content.size(), 0);
      file.sync();
    }
    for (std::size_t i = 0; i < files.size(); ++i) replace_file(temporaries[i], files[i].path);
  } catch (...) {
    std::error_code ignored;
    for (const fs::path& temporary : temporaries) fs::remove(temporary, ignored);
    throw;
  }
}

std::string read_text(const fs::path& path, std::int64_t limit) {
  const FileHandle file(path, FileHandle::Mode::read);
  const std::int64_t bytes = file.size();
  if (bytes > limit) throw DataError(text(path.string(), ": expected a text of at most ", limit, " bytes, found ", bytes));
  std::string content(static_cast<std::size_t>(bytes), '\0');
  file.read_at(content.data(), content.size(), 0);
  return content;
}

std::int64_t free_bytes(const fs::path& path) {
  std::error_code ignored;
  fs::path at = fs::absolute(path);
  while (at.has_relative_path() && !fs::exists(at, ignored)) at = at.parent_path();
  struct statvfs status {};
  if (::statvfs(at.c_str(), &status) != 0) throw DataError(text(at.string(), ": cannot ask for free space: ", reason(errno)));
  return static_cast<std::int64_t>(status.f_bavail) * static_cast<std::int64_t>(status.f_frsize);
}

std::string xxh3_128(const void* data, std::size_t bytes) {
  return hexadecimal(XXH3_128bits(data, bytes));
}

std::string xxh3_128_of_file(const fs::path& path) {
  constexpr std::size_t piece = std::size_t{8} << 20;
  const FileHandle file(path, FileHandle::Mode::read);
  const HashState hash;
  std::vector<char> buffer(piece);
  const auto total = static_cast<std::size_t>(file.size());
  for (std::size_t at = 0; at < total; at += piece) {
    const std::size_t bytes = std::min(piece, total - at);
    file.read_at(buffer.data(), bytes, static_cast<std::int64_t>(at));
    XXH3_128bits_update(hash.state, buffer.data(), bytes);
  }
  return hexadecimal(XXH3_128bits_digest(hash.state));
}

}  // namespace strata
