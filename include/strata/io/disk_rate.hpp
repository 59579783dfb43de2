#pragma once
// How fast a folder takes and gives back a large file.
#include <cstdint>
#include <filesystem>

namespace strata {

struct DiskRate {
  double write = 0, read = 0;  // [bytes/s] with fsync; past the page cache (0: the file system cannot)
  std::int64_t bytes = 0;      // that were written
};
/// Writes a file of up to `bytes` bytes (a quarter of the free space at most) under a temporary name in `folder`, syncs it, reads it back
/// past the page cache, and removes it. Stops writing after about `seconds`. Throws DataError, CapacityError. Local.
DiskRate disk_rate(const std::filesystem::path& folder, std::int64_t bytes, double seconds);

}  // namespace strata
