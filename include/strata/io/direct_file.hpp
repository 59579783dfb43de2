#pragma once
// A file for large transfers: whole pages go past the page cache where the file system allows it, the rest the ordinary way.
#include <cstdint>
#include <filesystem>

#include "strata/io/file.hpp"

namespace strata {

/// Two descriptors of one file. Errors are those of FileHandle. Thread-safe. Local.
class DirectFile {
 public:
  DirectFile(const std::filesystem::path& path, FileHandle::Mode mode);
  /// Exactly `bytes` bytes at `offset`. Memory from a TransferBuffer (io/in_flight.hpp), so that it is aligned.
  void read_at(std::byte* to, std::int64_t bytes, std::int64_t offset) const;
  void write_at(const std::byte* from, std::int64_t bytes, std::int64_t offset) const;
  /// The ordinary descriptor, for small pieces, syncing and dropping the cache.
  const FileHandle& cached() const { return cached_; }

 private:
  /// Leading bytes of a transfer that can go past the cache.
  std::int64_t whole_pages(std::int64_t bytes, std::int64_t offset) const;
  FileHandle cached_, direct_;
  bool bypasses_;
};

}  // namespace strata
