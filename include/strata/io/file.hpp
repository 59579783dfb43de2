#pragma once
// Plain files done safely: positional reads and writes that never come up short silently, syncing, and replacement in one instant.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

namespace strata {

/// An open file descriptor. Throws DataError with path, offset and the system's reason; a full disk or quota is a CapacityError.
/// Thread-safe where the kernel is (pread, pwrite). Files are made with the permissions the umask leaves.
class FileHandle {
 public:
  enum class Mode { read, write_existing, create };  // create: fails if the file exists
  FileHandle(const std::filesystem::path& path, Mode mode);
  ~FileHandle();
  FileHandle(const FileHandle&) = delete;
  FileHandle& operator=(const FileHandle&) = delete;

  /// Reads exactly `bytes` bytes from byte `offset`; end of file before that is an error.
  void read_at(void* to, std::size_t bytes, std::int64_t offset) const;
  void write_at(const void* from, std::size_t bytes, std::int64_t offset) const;
  /// Makes the file at least `bytes` long with its space reserved, so that a full disk shows now and not in the middle of writing. Where
  /// the file system cannot reserve, it is extended only.
  void allocate(std::int64_t bytes) const;
  /// [bytes]
  std::int64_t size() const;
  /// Data and metadata on disk.
  void sync() const;
  /// From now on transfers go past the page cache: memory, offsets and lengths are multiples of transfer_alignment (io/in_flight.hpp).
  /// False, and nothing changes, where the file system declines or the file is shorter than one such piece.
  bool bypass_cache() const;
  /// Asks the kernel to drop this file's clean pages, so that the next read comes from the disk.
  void drop_cache() const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// A name beside `path` that nobody can foresee, ending in ".tmp": with Mode::create two writers never share it, and no link lies in the
/// way.
std::filesystem::path temporary_name(const std::filesystem::path& path);
/// fsync of a folder: makes a rename in it durable.
void sync_folder(const std::filesystem::path& folder);
/// Renames and syncs the folder, so that a crash leaves either the old or the new file.
void replace_file(const std::filesystem::path& from, const std::filesystem::path& to);
/// Makes the folder, and those above it, unless they are there. Throws DataError.
void make_folders(const std::filesystem::path& folder);
/// Writes a small text under a temporary name beside `path`, syncs it and replaces `path` with it.
void write_text_atomically(const std::filesystem::path& path, const std::string& content);
struct TextFile {
  std::filesystem::path path;
  std::string content;
};
/// The same for texts that belong together: none is replaced before all are on disk.
void write_texts_atomically(std::span<const TextFile> files);
/// Whole content; more than `limit` bytes is a DataError.
std::string read_text(const std::filesystem::path& path, std::int64_t limit = std::int64_t{1} << 30);
/// Free bytes for this user on the file system of `path`, or of its nearest folder that exists.
std::int64_t free_bytes(const std::filesystem::path& path);
/// XXH3-128 of memory or of a whole file, 32 hexadecimal digits.
std::string xxh3_128(const void* data, std::size_t bytes);
std::string xxh3_128_of_file(const std::filesystem::path& path);

}  // namespace strata
